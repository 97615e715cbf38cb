"""Ways to break PPO, and what notices each."""

from tests.mutants import Mutant

SCRIPT = "experiments/ppo.py"
RETURNS = "research/rl/returns.py"
UPDATE = "tests/papers/ppo/test_update.py::test_the_updates_on_two_rollouts_are_the_papers"

MUTANTS = [
    Mutant(
        "min_is_dropped",
        SCRIPT,
        "return jnp.minimum(ratio * advantage, clipped * advantage)",
        "return clipped * advantage",
        f"{UPDATE}[clip]",
    ),
    Mutant(
        "clip_is_one_sided",
        SCRIPT,
        "clipped = jnp.clip(ratio, 1 - epsilon, 1 + epsilon)",
        "clipped = jnp.minimum(ratio, 1 + epsilon)",
        f"{UPDATE}[clip]",
    ),
    Mutant(
        "advantages_are_not_normalized",
        SCRIPT,
        "if self.agent.normalize_advantages:",
        "if False and self.agent.normalize_advantages:",
        f"{UPDATE}[clip]",
    ),
    Mutant(
        "lambda_is_ignored",
        RETURNS,
        "follows = jnp.where(ended, value, value + lambda_ * (later - value))",
        "follows = jnp.where(ended, value, later)",
        f"{UPDATE}[clip]",
    ),
    Mutant(
        "terminations_are_bootstrapped_through",
        RETURNS,
        "total = reward + gamma * jnp.where(terminated, 0.0, follows)",
        "total = reward + gamma * follows",
        f"{UPDATE}[clip]",
    ),
    Mutant(
        "value_is_clipped_for_the_smaller_error",
        SCRIPT,
        "return jnp.maximum(error, (clipped - batch.returns) ** 2)",
        "return jnp.minimum(error, (clipped - batch.returns) ** 2)",
        f"{UPDATE}[clipped_value]",
    ),
    Mutant(
        "clip_is_not_annealed",
        SCRIPT,
        "remaining = self.alpha(t) if self.agent.anneal_clip else 1.0",
        "remaining = 1.0",
        f"{UPDATE}[clipped_value]",
    ),
    Mutant(
        "divergence_is_the_other_way_round",
        SCRIPT,
        "kl = batch.policy.kl(pi)\n",
        "kl = pi.kl(batch.policy)\n",
        f"{UPDATE}[kl_penalty]",
    ),
    Mutant(
        "penalty_is_not_adapted",
        SCRIPT,
        "beta = update_kl_coefficient(beta, kl, self.agent.kl_target, factor=2.0)",
        "beta = update_kl_coefficient(beta, kl, self.agent.kl_target, factor=1.0)",
        f"{UPDATE}[kl_penalty]",
    ),
    Mutant(
        "one_epoch",
        SCRIPT,
        "epochs=self.agent.epochs,",
        "epochs=1,",
        f"{UPDATE}[clip]",
    ),
    Mutant(
        "paper_does_not_clip_values",
        "configs/ppo.py",
        "value_clip=0.1,",
        "value_clip=0.0,",
        "tests/papers/ppo/test_paper_table.py::test_settings[paper-table0]",
    ),
]
