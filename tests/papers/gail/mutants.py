"""Ways to break GAIL, and what notices each."""

from tests.mutants import Mutant

SCRIPT = "experiments/gail.py"
UPDATE = "tests/papers/gail/test_update.py"
STEPS = f"{UPDATE}::test_the_adversary_takes_its_steps_on_all_pairs"
REWARDS = f"{UPDATE}::test_rewards_are_the_adversarys_with_the_causal_entropy"

MUTANTS = [
    Mutant(
        "labels_are_swapped",
        SCRIPT,
        "loss = jax.nn.softplus(-policy_logits).mean() + (share * jax.nn.softplus(expert_logits))",
        "loss = jax.nn.softplus(policy_logits).mean() + (share * jax.nn.softplus(-expert_logits))",
        STEPS,
    ),
    Mutant(
        "pairs_that_are_not_there_count",
        SCRIPT,
        "share = present / present.sum()",
        "share = (present | True) / present.size",
        STEPS,
    ),
    Mutant(
        "the_adversary_takes_one_step",
        SCRIPT,
        "keys = jax.random.split(key, self.config.gail.updates)",
        "keys = jax.random.split(key, 1)",
        STEPS,
    ),
    Mutant(
        "reward_is_for_being_told_apart",
        SCRIPT,
        'return jax.nn.softplus(-logits) if kind == "-log D" else -jax.nn.softplus(logits)',
        'return jax.nn.softplus(logits) if kind == "-log D" else -jax.nn.softplus(-logits)',
        f"{REWARDS}[-log D]",
    ),
    Mutant(
        "one_reward_for_all_tasks",
        SCRIPT,
        'return jax.nn.softplus(-logits) if kind == "-log D" else -jax.nn.softplus(logits)',
        "return jax.nn.softplus(-logits)",
        f"{REWARDS}[log(1 - D)]",
    ),
    Mutant(
        "entropy_is_left_out",
        SCRIPT,
        "reward=reward - self.config.gail.entropy_weight * log_prob",
        "reward=reward - 0.0 * log_prob",
        f"{REWARDS}[-log D]",
    ),
    Mutant(
        "the_policy_learns_from_the_tasks_reward",
        SCRIPT,
        "            trajectory = self.replace_rewards(discriminator, trajectory)\n",
        "",
        "tests/papers/gail/test_gail.py::test_the_tasks_reward_teaches_the_expert_alone[gail]",
    ),
    Mutant(
        "cloning_forgets_the_best",
        "research/papers/gail/behavioral_cloning.py",
        "better = (error < state.best_error) | ~held_out.any()",
        "better = error < jnp.inf",
        "tests/papers/gail/test_behavioral_cloning.py"
        "::test_the_expert_is_copied_and_the_best_parameters_are_kept",
    ),
    Mutant(
        "policy_takes_steps_without_a_trust_region",
        "research/rl/agents/trust_region.py",
        "return (improvement >= 0) & (divergence <= kl_limit)",
        "return improvement >= -jnp.inf",
        "tests/rl/agents/test_trpo.py::test_a_step_is_the_papers[0.0-8.0]",
    ),
    Mutant(
        "paper_sees_every_pair",
        "configs/gail.py",
        "every_steps=5)",
        "every_steps=1)",
        "tests/papers/gail/test_paper_table.py::test_settings",
    ),
]
