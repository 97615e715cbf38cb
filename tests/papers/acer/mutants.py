"""Ways to break ACER, and what notices each."""

from tests.mutants import Mutant

SCRIPT = "experiments/acer.py"
UPDATE = "tests/papers/acer/test_update.py::test_an_update_is_the_papers"

MUTANTS = [
    Mutant(
        "truncation_is_off",
        SCRIPT,
        "truncated = taken * jnp.minimum(rho, self.c)",
        "truncated = taken * rho",
        UPDATE,
    ),
    Mutant(
        "bias_correction_is_off",
        SCRIPT,
        "return truncated + correction - self.entropy_weight",
        "return truncated - self.entropy_weight",
        UPDATE,
    ),
    Mutant(
        "trust_region_is_off",
        SCRIPT,
        "return g - jax.nn.relu(product - self.delta) / (square + _EPSILON) * k",
        "return g",
        UPDATE,
    ),
    Mutant(
        "trust_region_is_about_the_policy_itself",
        SCRIPT,
        "k = -f_average / (f + _EPSILON)",
        "k = -f / (f + _EPSILON)",
        UPDATE,
    ),
    Mutant(
        "traces_are_not_cut",
        "research/rl/retrace.py",
        "trace = jnp.minimum(ratio, max_trace)\n\n    # From",
        "trace = ratio\n\n    # From",
        UPDATE,
    ),
    Mutant(
        "returns_are_not_corrected",
        "research/rl/retrace.py",
        "corrected = next_value + jnp.where(ended, 0.0, carry)",
        "corrected = next_value",
        UPDATE,
    ),
    Mutant(
        "terminations_are_bootstrapped_through",
        "research/rl/retrace.py",
        "target = reward + gamma * jnp.where(terminated, 0.0, corrected)",
        "target = reward + gamma * corrected",
        UPDATE,
    ),
    Mutant(
        "the_average_policy_is_the_policy",
        SCRIPT,
        "optax.incremental_update(learner.params, average_params, 1 - self.alpha)",
        "optax.incremental_update(learner.params, average_params, 1.0)",
        UPDATE,
    ),
    Mutant(
        "value_is_that_of_the_action_taken",
        SCRIPT,
        "(f_next * next_q).sum(axis=-1),",
        "next_q.max(axis=-1),",
        UPDATE,
    ),
    Mutant(
        "nothing_is_replayed",
        SCRIPT,
        "count = jnp.where(started, jax.random.poisson(count_key, self.replay_ratio), 0)",
        "count = 0",
        "tests/papers/acer/test_update.py"
        "::test_the_number_of_replayed_updates_is_poisson[4.0-True]",
    ),
    Mutant(
        "paper_truncates_at_one",
        "configs/acer.py",
        '"truncation": 10.0,',
        '"truncation": 1.0,',
        "tests/papers/acer/test_paper_table.py::test_settings[paper]",
    ),
]
