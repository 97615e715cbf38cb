"""Ways to break TRPO, and what notices each."""

from tests.mutants import Mutant

SCRIPT = "experiments/trpo.py"
STEP = "research/rl/agents/trust_region.py"
UPDATE = "tests/papers/trpo/test_update.py::test_an_update_is_the_papers"

MUTANTS = [
    Mutant(
        "trust_region_is_off",
        STEP,
        "return (improvement >= 0) & (divergence <= kl_limit)",
        "return improvement >= -jnp.inf",
        f"{UPDATE}[8.0]",
    ),
    Mutant(
        "surrogate_may_fall",
        STEP,
        "return (improvement >= 0) & (divergence <= kl_limit)",
        "return divergence <= kl_limit",
        "tests/rl/agents/test_trust_region.py::test_where_nothing_is_accepted_nothing_changes",
    ),
    Mutant(
        "gradient_is_plain",
        SCRIPT,
        "s = conjugate_gradient(times_fisher, g, self.agent.cg_iterations)",
        "s = g",
        f"{UPDATE}[0.3]",
    ),
    Mutant(
        "one_iteration_of_conjugate_gradient",
        SCRIPT,
        "s = conjugate_gradient(times_fisher, g, self.agent.cg_iterations)",
        "s = conjugate_gradient(times_fisher, g, 1)",
        f"{UPDATE}[0.3]",
    ),
    Mutant(
        "fisher_matrix_is_not_damped",
        SCRIPT,
        "return product + self.agent.damping * v",
        "return product",
        f"{UPDATE}[0.3]",
    ),
    Mutant(
        "steps_are_twice_as_long",
        SCRIPT,
        "beta = jnp.sqrt(2 * self.agent.kl_limit / jnp.maximum(size, 1e-12))",
        "beta = 2 * jnp.sqrt(2 * self.agent.kl_limit / jnp.maximum(size, 1e-12))",
        f"{UPDATE}[0.3]",
    ),
    Mutant(
        "advantages_are_not_normalized",
        SCRIPT,
        "advantage = normalize_advantage(rollout.advantage)",
        "advantage = rollout.advantage - 1",
        f"{UPDATE}[0.3]",
    ),
    Mutant(
        "divergence_is_the_other_way_round",
        SCRIPT,
        "return rollout.policy.kl(pi).mean()",
        "return pi.kl(rollout.policy).mean()",
        f"{UPDATE}[8.0]",
    ),
    Mutant(
        "value_follows_advantages",
        "research/rl/agents/trpo.py",
        "return ((value - batch.returns) ** 2).mean(), Aux()",
        "return ((value - batch.advantage) ** 2).mean(), Aux()",
        "tests/rl/agents/test_trpo.py"
        "::test_the_value_is_fitted_to_returns_over_epochs_of_minibatches",
    ),
    Mutant(
        "lambda_is_ignored",
        "research/rl/returns.py",
        "follows = jnp.where(ended, value, value + lambda_ * (later - value))",
        "follows = jnp.where(ended, value, later)",
        f"{UPDATE}[0.3]",
    ),
    Mutant(
        "paper_has_the_claims_lambda",
        "configs/trpo.py",
        "gae_lambda=0.98,",
        "gae_lambda=0.95,",
        "tests/papers/trpo/test_paper_table.py::test_settings",
    ),
]
