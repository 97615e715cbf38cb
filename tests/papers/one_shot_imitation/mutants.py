"""Ways to break one-shot imitation, and what notices each."""

from tests.mutants import Mutant

SCRIPT = "experiments/one_shot_imitation.py"
POLICIES = "research/papers/one_shot_imitation/policies.py"
IMITATION = "research/papers/one_shot_imitation/imitation.py"
SCENES = "research/papers/one_shot_imitation/scenes.py"
HERE = "tests/papers/one_shot_imitation"
UPDATE = f"{HERE}/test_update.py::test_two_updates_are_cloning_by_adamax"

MUTANTS = [
    Mutant(
        "switches_are_regressed",
        SCRIPT,
        "error += optax.sigmoid_binary_cross_entropy(action[..., moves:], on).sum(axis=-1)",
        "error += ((action[..., moves:] - on) ** 2).sum(axis=-1)",
        UPDATE,
    ),
    Mutant(
        "states_after_the_end_count",
        SCRIPT,
        "return (error * present).sum() / jnp.maximum(present.sum(), 1)",
        "return error.mean()",
        UPDATE,
    ),
    Mutant(
        "adam_in_place_of_adamax",
        SCRIPT,
        "optax.adamax(rate)",
        "optax.adam(rate)",
        UPDATE,
    ),
    Mutant(
        "what_is_shown_is_what_is_to_be_done",
        IMITATION,
        "other = jnp.where(other == first, (other + 1) % per_task, other)",
        "other = first",
        f"{HERE}/test_imitation.py::test_a_demonstration_and_states_of_another_of_the_same_task",
    ),
    Mutant(
        "frames_are_not_dropped",
        IMITATION,
        "return scenes.temporal_dropout(key, whole, self.dropout)",
        "return whole",
        f"{HERE}/test_imitation.py::test_what_is_shown[all]",
    ),
    Mutant(
        "the_final_state_is_the_first",
        SCENES,
        "last = jnp.maximum(demonstration.valid.sum(axis=1) - 1, 0)",
        "last = 0 * demonstration.valid.sum(axis=1)",
        f"{HERE}/test_imitation.py::test_what_is_shown[last]",
    ),
    Mutant(
        "attention_reads_beyond_the_end",
        POLICIES,
        "mask = (valid[:, None, :, None] & scene.present[:, :, None, :])[..., None]",
        "mask = ((valid | True)[:, None, :, None] & scene.present[:, :, None, :])[..., None]",
        f"{HERE}/test_policies.py::test_the_context_has_one_size_and_the_weights_are_right",
    ),
    Mutant(
        "neighbours_that_are_not_there",
        "research/papers/one_shot_imitation/neighborhood_attention.py",
        "weights = masked_softmax(scores, scene.present[..., None, :, None], axis=-2)",
        "weights = masked_softmax(scores, (scene.present | True)[..., None, :, None], axis=-2)",
        f"{HERE}/test_neighborhood_attention.py::test_neighborhood_attention_equals_a_loop",
    ),
    Mutant(
        "convolutions_are_not_dilated",
        POLICIES,
        "taps = [padded[:, i * d : i * d + length] for i in range(3)]",
        "taps = [padded[:, d + i - 1 : d + i - 1 + length] for i in range(3)]",
        f"{HERE}/test_policies.py::test_a_dilated_convolution_equals_a_loop",
    ),
    Mutant(
        "dagger_notes_the_policys_actions",
        SCRIPT,
        "(act(observation), expert(env_state)),",
        "(act(observation), act(observation)),",
        f"{HERE}/test_imitation.py::test_dagger_notes_the_experts_actions_in_the_policys_states",
    ),
    Mutant(
        "paper_shows_every_frame",
        "configs/one_shot_imitation.py",
        "config.demonstrations.update(tasks=140, per_task=100, dropout=0.95)",
        "config.demonstrations.update(tasks=140, per_task=100, dropout=0.0)",
        f"{HERE}/test_paper_table.py::test_settings",
    ),
]
