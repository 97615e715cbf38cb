"""Ways to break A2C, and what notices each."""

from tests.mutants import Mutant

SCRIPT = "experiments/a2c.py"
UPDATE = "tests/papers/a2c/test_update.py::test_two_updates_are_the_papers"

MUTANTS = [
    Mutant(
        "advantage_is_the_return",
        SCRIPT,
        "pi.log_prob(batch.action) * batch.advantage",
        "pi.log_prob(batch.action) * batch.returns",
        f"{UPDATE}[1.0-1.0]",
    ),
    Mutant(
        "value_follows_the_advantage",
        SCRIPT,
        "((batch.returns - value) ** 2)",
        "((batch.advantage - value) ** 2)",
        f"{UPDATE}[1.0-1.0]",
    ),
    Mutant(
        "entropy_is_lowered",
        SCRIPT,
        "self.value_weight * value_loss - self.entropy_weight * entropy",
        "self.value_weight * value_loss + self.entropy_weight * entropy",
        f"{UPDATE}[1.0-1.0]",
    ),
    Mutant(
        "terminations_are_bootstrapped_through",
        "research/rl/returns.py",
        "total = reward + gamma * jnp.where(terminated, 0.0, follows)",
        "total = reward + gamma * follows",
        f"{UPDATE}[1.0-1.0]",
    ),
    Mutant(
        "truncations_are_terminations",
        "research/rl/returns.py",
        "total = reward + gamma * jnp.where(terminated, 0.0, follows)",
        "total = reward + gamma * jnp.where(ended, 0.0, follows)",
        f"{UPDATE}[1.0-1.0]",
    ),
    Mutant(
        "returns_go_on_into_the_next_episode",
        "research/rl/returns.py",
        "follows = jnp.where(ended, value, value + lambda_ * (later - value))",
        "follows = value + lambda_ * (later - value)",
        f"{UPDATE}[1.0-1.0]",
    ),
    Mutant(
        "lambda_is_ignored",
        "research/rl/returns.py",
        "follows = jnp.where(ended, value, value + lambda_ * (later - value))",
        "follows = jnp.where(ended, value, later)",
        f"{UPDATE}[0.8-0.0]",
    ),
    Mutant(
        "the_second_moment_begins_at_zero",
        SCRIPT,
        "initial_scale=optimizer.rmsprop_initial_scale,",
        "initial_scale=0.0,",
        f"{UPDATE}[1.0-1.0]",
    ),
    Mutant(
        "the_rate_is_not_annealed",
        SCRIPT,
        "last_rate = 0.0 if agent.anneal else optimizer.learning_rate",
        "last_rate = optimizer.learning_rate",
        f"{UPDATE}[1.0-1.0]",
    ),
    Mutant(
        "paper_has_the_claims_rate",
        "configs/a2c.py",
        "config.optimizer.learning_rate = 7e-4",
        "config.optimizer.learning_rate = 3e-3",
        "tests/papers/a2c/test_paper_table.py::test_settings[paper]",
    ),
]
