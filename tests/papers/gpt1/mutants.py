"""Ways to break GPT-1's fine-tuning, and what notices each."""

from tests.mutants import Mutant

SCRIPT = "experiments/gpt1.py"
CONFIG = "configs/gpt1.py"
CLASSIFIER = "research/papers/gpt1/gpt_classifier.py"
OWN = "tests/papers/gpt1/test_gpt1.py"
LAYER = "tests/papers/gpt1/test_gpt_classifier.py"
TABLE = "tests/papers/gpt1/test_paper_table.py"
ADAM = f"{TABLE}::test_the_optimizer_is_adam_whose_rate_rises_and_falls"
SEES = f"{LAYER}::test_the_layer_sees_the_dropped_state_of_the_last_token"

MUTANTS = [
    Mutant(
        "no_dropout_before_the_classifier",
        CLASSIFIER,
        "ends = self.drop(ends.astype(jnp.float32), deterministic=not train)",
        "ends = ends.astype(jnp.float32)",
        f"{SEES}[3-2]",
    ),
    Mutant(
        "fine_tuning_has_a_constant_rate",
        SCRIPT,
        "adamw(rate, phase),\n            accumulate",
        "adamw(phase.learning_rate, phase),\n            accumulate",
        f"{ADAM}[finetuning]",
    ),
    Mutant(
        "fine_tuning_does_not_warm_up",
        SCRIPT,
        "warmup_linear(phase.learning_rate, warmup_steps, phase.num_steps)",
        "warmup_linear(phase.learning_rate, 0, phase.num_steps)",
        f"{ADAM}[finetuning]",
    ),
    Mutant(
        "everything_decays",
        SCRIPT,
        "        mask=gpt.decayed,\n",
        "",
        f"{ADAM}[pretraining]",
    ),
    Mutant(
        "no_auxiliary_language_model",
        SCRIPT,
        "loss = task + self.language_weight * language",
        "loss = task + 0.0 * language",
        f"{OWN}::test_the_objective_is_the_task_and_half_the_language",
    ),
    Mutant(
        "the_language_model_learns_padding",
        SCRIPT,
        "spoken = jnp.arange(1, rows.shape[1]) <= last.reshape(-1)[:, None]",
        "spoken = jnp.arange(1, rows.shape[1]) < 1e9 + last.reshape(-1)[:, None]",
        f"{OWN}::test_the_objective_is_the_task_and_half_the_language",
    ),
    Mutant(
        "fine_tuning_starts_from_nothing",
        CLASSIFIER,
        'return {**params, "body": {**pretrained, "embedding": table}}',
        "return params",
        f"{OWN}::test_fine_tuning_starts_from_the_language_model",
    ),
    Mutant(
        "one_order_of_a_similar_pair",
        "research/papers/gpt1/task_inputs.py",
        "return [self._join(a, b), self._join(b, a)]",
        "return [self._join(a, b), self._join(a, b)]",
        "tests/papers/gpt1/test_task_inputs.py::test_the_four_forms",
    ),
    Mutant(
        "the_layer_sees_the_first_token",
        CLASSIFIER,
        "jnp.take_along_axis(hidden, last[:, :, None, None], axis=2)[:, :, 0]",
        "hidden[:, :, 0]",
        f"{SEES}[0-2]",
    ),
    Mutant(
        "the_layer_starts_with_larger_weights",
        CLASSIFIER,
        "start = nn.initializers.normal(0.02)",
        "start = nn.initializers.normal(0.2)",
        f"{LAYER}::test_the_layer_starts_with_the_deviation_of_all_kernels",
    ),
    Mutant(
        "fine_tuning_at_a_tenth_of_the_rate_of_pre_training",
        CONFIG,
        "learning_rate=6.25e-5",
        "learning_rate=2.5e-5",
        f"{TABLE}::test_settings",
    ),
]
