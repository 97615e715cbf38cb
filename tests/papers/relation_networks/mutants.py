"""Ways to break relation networks and their questions, and what notices each."""

from tests.mutants import Mutant

SCRIPT = "experiments/relation_networks.py"
NETWORK, SCENES = "research/models/relation_network.py", "research/data/procedural/sort_of_clevr.py"
STORIES = "research/data/procedural/stories.py"
TASKS = "research/papers/relation_networks"
OWN = "tests/papers/relation_networks/test_relation_networks.py"
TABLE = "tests/papers/relation_networks/test_paper_table.py"
NETWORK_TESTS = "tests/models/test_relation_network.py"
SCENE_TESTS, STORY_TESTS = "tests/data/test_sort_of_clevr.py", "tests/data/test_stories.py"
PAIRS = f"{NETWORK_TESTS}::test_the_network_is_a_sum_over_all_ordered_pairs"
BRUTE_FORCE = f"{SCENE_TESTS}::test_answers_are_those_of_brute_force"

MUTANTS = [
    Mutant(
        "mean_in_place_of_the_sum",
        NETWORK,
        "relations = pairs.sum((2, 3))",
        "relations = pairs.mean((2, 3))",
        PAIRS,
    ),
    Mutant(
        "only_pairs_with_i_before_j",
        NETWORK,
        "relations = pairs.sum((2, 3))",
        "relations = jnp.where(jnp.triu(jnp.ones(pairs.shape[2:4], bool), 1)[..., None], pairs, 0)"
        ".sum((2, 3))",
        PAIRS,
    ),
    Mutant(
        "an_object_is_not_paired_with_itself",
        NETWORK,
        "relations = pairs.sum((2, 3))",
        "relations = jnp.where(jnp.eye(pairs.shape[2], dtype=bool)[..., None], 0, pairs)"
        ".sum((2, 3))",
        PAIRS,
    ),
    Mutant(
        "both_of_a_pair_have_one_matrix",
        NETWORK,
        "of_i, of_j = objects @ first, objects @ second",
        "of_i, of_j = objects @ first, objects @ first",
        f"{NETWORK_TESTS}::test_the_first_layer_is_that_of_concatenations",
    ),
    Mutant(
        "g_does_not_hear_the_question",
        NETWORK,
        "of_q = questions @ third + bias",
        "of_q = 0 * questions @ third + bias",
        f"{NETWORK_TESTS}::test_questions_about_one_scene_are_answered_as_if_alone",
    ),
    Mutant(
        "padding_counts",
        NETWORK,
        "present[:, None, :, None, None] & present[:, None, None, :, None]",
        "present[:, None, :, None, None] | present[:, None, None, :, None]",
        f"{NETWORK_TESTS}::test_padding_is_of_no_effect",
    ),
    Mutant(
        "coordinates_by_whole_numbers",
        NETWORK,
        "jnp.meshgrid(jnp.linspace(-1, 1, height), jnp.linspace(-1, 1, width), indexing",
        "jnp.meshgrid(jnp.arange(height) // 2 - 1, jnp.arange(width) // 2 - 1, indexing",
        f"{NETWORK_TESTS}::test_cells_know_where_they_are",
    ),
    Mutant(
        "x_and_y_are_swapped",
        NETWORK,
        "jnp.stack([x.ravel(), y.ravel()], -1)",
        "jnp.stack([y.ravel(), x.ravel()], -1)",
        f"{NETWORK_TESTS}::test_cells_know_where_they_are",
    ),
    Mutant(
        "dropout_is_left_on",
        SCRIPT,
        "return self.learner.apply(variables, self.inputs(batch))[0]",
        "return self.learner.apply(\n            variables, self.inputs(batch), train=True, "
        'rngs={"dropout": jax.random.key(0)}\n        )[0]',
        f"{OWN}::test_nothing_is_dropped_when_it_is_measured",
    ),
    Mutant(
        "batch_statistics_of_the_test",
        NETWORK,
        "norm(x, use_running_average=not train)",
        "norm(x, use_running_average=False)",
        f"{NETWORK_TESTS}::test_batch_statistics_are_those_of_training_when_it_is_over",
    ),
    Mutant(
        "tested_on_training_scenes",
        SCENES,
        '_SEEDS = {"train": 0, "validation": 1, "test": 2}',
        '_SEEDS = {"train": 0, "validation": 1, "test": 0}',
        f"{SCENE_TESTS}::test_splits_share_no_scene",
    ),
    Mutant(
        "answers_of_another_split",
        SCRIPT,
        "answer, kind = self.task.labels(split)",
        'answer, kind = self.task.labels("validation")',
        f"{OWN}::test_answers_are_counted_by_kind_on_the_split_asked_for",
    ),
    Mutant(
        "objects_are_not_shuffled",
        SCENES,
        "order=np.argsort(rng.random((num, len(COLOURS))), axis=1)",
        "order=np.argsort(np.sort(rng.random((num, len(COLOURS)))), axis=1)",
        f"{SCENE_TESTS}::test_states_hold_the_scene_in_a_random_order",
    ),
    Mutant(
        "an_object_is_nearest_to_itself",
        SCENES,
        "np.where(itself, np.iinfo(np.int64).max, squared).argmin(-1)",
        "squared.argmin(-1)",
        BRUTE_FORCE,
    ),
    Mutant(
        "places_are_cut_to_whole_numbers",
        SCENES,
        "place = 2 * scenes.centre / (SIZE - 1) - 1",
        "place = 2 * scenes.centre // (SIZE - 1) - 1",
        f"{SCENE_TESTS}::test_states_hold_the_scene_in_a_random_order",
    ),
    Mutant(
        "circles_are_drawn_as_squares",
        SCENES,
        "in_circle = dx**2 + dy**2 <= REACH**2 + 1",
        "in_circle = np.maximum(dx, dy) <= REACH",
        f"{SCENE_TESTS}::test_pictures_show_the_objects",
    ),
    Mutant(
        "tags_are_moved_in_evaluation",
        SCRIPT,
        'shown["offset"] = jnp.zeros(rows, jnp.int32)',
        'shown["offset"] = jnp.ones(rows, jnp.int32)',
        f"{OWN}::test_only_training_moves_the_tags",
    ),
    Mutant(
        "tags_stay_where_they_are",
        SCRIPT,
        "if key is not None:",
        "if False:",
        f"{OWN}::test_only_training_moves_the_tags",
    ),
    Mutant(
        "the_first_sentences_are_read",
        f"{TASKS}/stories.py",
        "kept = story[-self.sentences :]",
        "kept = story[: self.sentences]",
        f"{OWN}::test_the_last_sentences_are_read",
    ),
    Mutant(
        "things_stay_where_they_were_taken",
        STORIES,
        "return self.place[person][0], [said, self.place[person][1]]",
        "return PLACES[0], [said, self.place[person][1]]",
        f"{STORY_TESTS}::test_answers_follow_from_the_story",
    ),
    Mutant(
        "the_rate_does_not_grow",
        "research/optim/schedules.py",
        "return jnp.minimum(first * 2.0**times, largest)",
        "return jnp.minimum(first * 1.0**times, largest)",
        f"{OWN}::test_rates_fall_as_a_cosine_or_double",
    ),
    Mutant(
        "three_layers_in_g",
        "configs/relation_networks.py",
        "config.model.update(g=(256,) * 4, f=(256, 256), dropout=0.5",
        "config.model.update(g=(256,) * 3, f=(256, 256), dropout=0.5",
        f"{TABLE}::test_published_counts_of_clevr",
    ),
]
