"""Ways to break DDPG, and what notices each."""

from tests.mutants import Mutant

SCRIPT = "experiments/ddpg.py"
OWN = "tests/papers/ddpg/test_ddpg.py::test_update_is_the_papers"
UPDATE = "tests/papers/ddpg/test_update.py"

MUTANTS = [
    Mutant(
        "target_critic_is_not_used",
        SCRIPT,
        "self.networks.q(agent.target_critic, batch.next_observation, next_action)",
        "self.networks.q(variables_of(agent.critic), batch.next_observation, next_action)",
        OWN,
    ),
    Mutant(
        "target_actor_is_not_used",
        SCRIPT,
        "self.networks.mu(agent.target_actor, batch.next_observation)",
        "self.networks.mu(variables_of(agent.actor), batch.next_observation)",
        OWN,
    ),
    Mutant(
        "targets_jump",
        "research/rl/agents/target_network.py",
        "return optax.incremental_update(variables_of(state), target, tau)",
        "return optax.incremental_update(variables_of(state), target, 1.0)",
        f"{UPDATE}::test_targets_follow_after_each_update_and_learning_begins_when_enough_was_played",
    ),
    Mutant(
        "terminations_are_bootstrapped_through",
        "research/rl/returns.py",
        "return reward + gamma * jnp.where(terminated, 0.0, next_value)",
        "return reward + gamma * next_value",
        OWN,
    ),
    Mutant(
        "actor_climbs_the_critic_of_before",
        SCRIPT,
        "functools.partial(self.actor_loss, variables_of(critic))",
        "functools.partial(self.actor_loss, variables_of(agent.critic))",
        OWN,
    ),
    Mutant(
        "actor_descends",
        SCRIPT,
        "return -q.mean(), Aux({}, updated)",
        "return q.mean(), Aux({}, updated)",
        OWN,
    ),
    Mutant(
        "weight_decay_is_of_biases_too",
        SCRIPT,
        "jax.tree.map(lambda p: p.ndim > 1, params)",
        "jax.tree.map(lambda p: True, params)",
        f"{UPDATE}::test_both_take_adams_steps_the_critic_with_weight_decay_of_its_kernels",
    ),
    Mutant(
        "noise_has_no_memory",
        "research/rl/acting/noise.py",
        "return noise - theta * noise + sigma * jax.random.normal(key, noise.shape)",
        "return sigma * jax.random.normal(key, noise.shape)",
        f"{UPDATE}::test_noise_is_added_to_the_action_and_goes_on",
    ),
    Mutant(
        "paper_follows_faster",
        "configs/ddpg.py",
        "config.agent.tau = 1e-3",
        "config.agent.tau = 1e-2",
        "tests/papers/ddpg/test_paper_table.py::test_settings",
    ),
]
