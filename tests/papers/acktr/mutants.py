"""Ways to break ACKTR, and what notices each."""

from tests.mutants import Mutant

SCRIPT = "experiments/acktr.py"
KFAC = "research/optim/kfac.py"
UPDATE = "tests/papers/acktr/test_update.py::test_two_updates_are_the_papers"

MUTANTS = [
    Mutant(
        "values_have_another_variance",
        SCRIPT,
        "sampled_value = value + jax.random.normal(value_key, value.shape)",
        "sampled_value = value + 3 * jax.random.normal(value_key, value.shape)",
        f"{UPDATE}[True]",
    ),
    Mutant(
        "actions_are_the_likeliest",
        SCRIPT,
        "action = jax.lax.stop_gradient(pi.sample(action_key))",
        "action = jax.lax.stop_gradient(pi.mode())",
        f"{UPDATE}[True]",
    ),
    Mutant(
        "trust_region_is_off",
        KFAC,
        "start: jnp.minimum(longest, jnp.sqrt(2 * limits[start] / jnp.maximum(size, 1e-12)))",
        "start: longest + 0 * size",
        f"{UPDATE}[True]",
    ),
    Mutant(
        "one_trust_region_for_both_networks",
        SCRIPT,
        'apart={} if shared else {"value": settings.value_trust_region},',
        "apart={},",
        f"{UPDATE}[True]",
    ),
    Mutant(
        "gradient_is_plain",
        KFAC,
        "name: inverses[name].inputs @ w @ inverses[name].outputs for name, w in matrices.items()",
        "name: w for name, w in matrices.items()",
        f"{UPDATE}[False]",
    ),
    Mutant(
        "damping_is_not_shared_between_the_factors",
        KFAC,
        "return Factors(inverse(a, pi * root), inverse(g, root / pi))",
        "return Factors(inverse(a, root), inverse(g, root))",
        f"{UPDATE}[False]",
    ),
    Mutant(
        "factors_are_of_the_newest_batch",
        KFAC,
        "keep = jnp.minimum(1 - 1 / observed, self.decay)",
        "keep = 0.0 * observed",
        f"{UPDATE}[False]",
    ),
    Mutant(
        "momentum_adds_whole_steps",
        KFAC,
        "self.momentum * m + (1 - self.momentum) * s",
        "self.momentum * m + s",
        f"{UPDATE}[False]",
    ),
    Mutant(
        "places_of_convolutions_are_averaged",
        KFAC,
        "found[name] = Factors(a.T @ a / size, g.T @ g / len(g))",
        "found[name] = Factors(a.T @ a / len(a), g.T @ g / len(g))",
        "tests/optim/test_kfac.py::test_factors_are_those_of_examples_one_by_one",
    ),
    Mutant(
        "paper_has_the_claims_rollouts",
        "configs/acktr.py",
        "config.agent.update(rollout_steps=20,",
        "config.agent.update(rollout_steps=50,",
        "tests/papers/acktr/test_paper_table.py::test_settings[paper]",
    ),
]
