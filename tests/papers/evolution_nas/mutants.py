"""Ways to break the evolution of architectures."""

from tests.mutants import Mutant

SCRIPT, SPACES = "experiments/evolution_nas.py", "research/papers/evolution_nas/spaces.py"
WORKERS, LAYERS = (
    "research/papers/evolution_nas/workers.py",
    "research/papers/evolution_nas/layers.py",
)
MASKED = "research/models/nas_cells/masked.py"
TESTS = "tests/papers/evolution_nas/test_evolution_nas.py"
WORKER_TESTS = "tests/papers/evolution_nas/test_workers.py"

MUTANTS = [
    Mutant(
        "the_newest_is_dropped",
        SCRIPT,
        "dies = jnp.int32(0)",
        "dies = jnp.int32(alive - 1)",
        f"{TESTS}::test_population_is_the_papers_deque",
    ),
    Mutant(
        "the_worst_of_all_is_dropped",
        SCRIPT,
        "dies = jnp.int32(0)",
        "dies = jnp.argmin(population.fitness[members])",
        f"{TESTS}::test_population_is_the_papers_deque",
    ),
    Mutant(
        "the_best_of_the_sample_is_dropped",
        SCRIPT,
        "dies = proposal.sampled[jnp.argmin(",
        "dies = proposal.sampled[jnp.argmax(",
        f"{TESTS}::test_population_is_the_papers_deque",
    ),
    Mutant(
        "any_of_the_sample_is_the_parent",
        SCRIPT,
        "parent = candidates[jnp.argmax(population.fitness[candidates])]",
        "parent = candidates[0]",
        f"{TESTS}::test_population_is_the_papers_deque",
    ),
    Mutant(
        "samples_have_no_repeats",
        SCRIPT,
        "jax.random.randint(sample_key, (self.evolution.sample,), 0, alive)",
        "jax.random.permutation(sample_key, alive)[: self.evolution.sample]",
        f"{TESTS}::test_samples_are_drawn_with_replacement_from_all_that_are_alive",
    ),
    Mutant(
        "noise_is_the_same_for_all",
        SCRIPT,
        "jax.random.normal(noise_key)",
        "jax.random.normal(jax.random.key(0))",
        f"{TESTS}::test_every_model_has_noise_of_its_own",
    ),
    Mutant(
        "the_best_true_accuracy_is_reported",  # which no search can know
        SCRIPT,
        "best = np.asarray(state.fitness).argmax(1)",
        "best = np.asarray(state.models).mean(-1).argmax(1)",
        f"{TESTS}::test_what_is_reported_is_the_true_accuracy_of_the_highest_fitness",
    ),
    Mutant(
        "random_search_has_parents",
        SCRIPT,
        "is_random = jnp.bool_(True)",
        "pass",
        f"{TESTS}::test_a_child_is_a_mutation_of_its_parent_and_random_search_has_none",
    ),
    Mutant(
        "nothing_is_rewired",
        SPACES,
        "jnp.where(kind < half, a, b), rewired, replaced)",
        "jnp.where(kind < half, a, b), architecture, replaced)",
        f"{TESTS}::test_mutations_form_no_loop_and_change_one_thing",
    ),
    Mutant(
        "loops_are_allowed",
        SPACES,
        "allowed = ~depends(inputs)[:, combination + 2]",
        "allowed = jnp.ones(self.combinations + 2, bool)",
        f"{TESTS}::test_rewiring_reaches_every_state_that_makes_no_loop",
    ),
    Mutant(
        "later_combinations_are_never_inputs",
        SPACES,
        "allowed = ~depends(inputs)[:, combination + 2]",
        "allowed = jnp.arange(self.combinations + 2) < combination + 2",
        f"{TESTS}::test_rewiring_reaches_every_state_that_makes_no_loop",
    ),
    Mutant(
        "operations_are_never_changed",
        SPACES,
        "shift = 1 + _below(len(OPERATIONS) - 1, drawn)",
        "shift = _below(len(OPERATIONS), drawn) * 0",
        f"{TESTS}::test_mutations_form_no_loop_and_change_one_thing",
    ),
    Mutant(
        "used_states_are_put_out_too",
        MASKED,
        "made = jnp.moveaxis(made, 0, -2) * ~used[:, None]",
        "made = jnp.moveaxis(made, 0, -2) * (used | ~used)[:, None]",
        f"{TESTS}::test_what_a_combination_uses_is_not_in_the_cells_output",
    ),
    Mutant(
        "dilation_is_left_out",
        MASKED,
        "_SIZE // 2 + dilation * (np.arange(size)",
        "_SIZE // 2 + (np.arange(size)",
        f"{TESTS}::test_a_masked_operation_is_the_one_that_is_built",
    ),
    Mutant(
        "children_are_judged_by_training_images",
        "research/papers/evolution_nas/images.py",
        "self.valid = make(test_split=valid_split)",
        "self.valid = make(test_split=train_split)",
        f"{TESTS}::test_batches_to_judge_by_are_the_validation_images_each_once",
    ),
    Mutant(
        "children_are_judged_by_test_images",
        "research/papers/evolution_nas/images.py",
        "self.valid = make(test_split=valid_split)",
        "self.valid = make(test_split=test_split)",
        f"{TESTS}::test_batches_to_judge_by_are_the_validation_images_each_once",
    ),
    Mutant(
        "children_keep_the_weights_of_those_before",
        SCRIPT,
        "return state.replace(proposals=proposals, children=children)",
        "return state.replace(proposals=proposals)",
        f"{TESTS}::test_children_begin_from_scratch_and_enter_with_their_validation_accuracy",
    ),
    Mutant(
        "the_first_model_is_the_choice",
        SCRIPT,
        "best = jnp.argmax(population.fitness)",
        "best = 0",
        f"{TESTS}::test_the_choice_is_the_best_by_validation_with_its_history",
    ),
    Mutant(
        "nothing_is_inherited",
        SCRIPT,
        "inherited = folder.weights(parent) if parent >= 0 and dna.inherits else None",
        "inherited = None",
        f"{WORKER_TESTS}::test_a_child_begins_with_its_parents_weights_where_shapes_match",
    ),
    Mutant(
        "resetting_weights_resets_nothing",
        LAYERS,
        "return dataclasses.replace(dna, inherits=False)",
        "return dna",
        f"{WORKER_TESTS}::test_layers_are_inserted_and_removed_with_their_skips",
    ),
    Mutant(
        "the_better_is_killed",
        WORKERS,
        "worse, better = sorted(",
        "better, worse = sorted(",
        f"{WORKER_TESTS}::test_of_two_the_worse_is_killed_and_the_better_reproduces",
    ),
    Mutant(
        "the_oldest_of_a_folder_are_alive",
        WORKERS,
        "everyone[-self.population :]",
        "everyone[: self.population]",
        f"{WORKER_TESTS}::test_cells_evolve_in_a_folder_as_in_the_paper",
    ),
    Mutant(
        "a_killed_worker_begins_anew",
        WORKERS,
        "if drafted.is_file():",
        "shutil.rmtree(child, ignore_errors=True)\n    if drafted.is_file():",
        f"{WORKER_TESTS}::test_a_worker_that_is_killed_anywhere_loses_nothing",
    ),
    Mutant(
        "a_number_is_written_over",
        WORKERS,
        'os.link(whole, self.path / _MODELS / f"{number:08d}.json")',
        'shutil.copy(whole, self.path / _MODELS / f"{number:08d}.json")',
        f"{WORKER_TESTS}::test_workers_side_by_side_take_every_number_once",
    ),
    Mutant(
        "skips_carry_nothing",
        LAYERS,
        "x = x + fitted(outputs[source], x.shape)",
        "x = x + 0 * fitted(outputs[source], x.shape)",
        f"{WORKER_TESTS}::test_a_skip_is_added_where_it_ends",
    ),
]
