"""Ways to break UNREAL, and what notices each."""

from tests.mutants import Mutant

SCRIPT = "experiments/unreal.py"
AUXILIARY = "research/papers/unreal/auxiliary.py"
NETWORK = "research/papers/unreal/network.py"
UPDATE = "tests/papers/unreal/test_update.py"
LOSS = f"{UPDATE}::test_the_loss_is_the_papers_sum"

MUTANTS = [
    Mutant(
        "control_does_not_look_ahead_for_the_best_action",
        AUXILIARY,
        "n_step_returns(reward, q.max(axis=-1), terminated, truncated, gamma)",
        "n_step_returns(reward, q.mean(axis=-1), terminated, truncated, gamma)",
        LOSS,
    ),
    Mutant(
        "control_discounts_as_the_agent_does",
        SCRIPT,
        "gamma = self.config.auxiliary.control_gamma",
        "gamma = self.config.agent.gamma",
        LOSS,
    ),
    Mutant(
        "control_is_a_mean_over_cells",
        AUXILIARY,
        "((td_target - q_of_action) ** 2).sum(axis=cells)",
        "((td_target - q_of_action) ** 2).mean(axis=cells)",
        LOSS,
    ),
    Mutant(
        "no_pixel_control",
        SCRIPT,
        'loss += tasks.control_weight * losses["control_loss"]',
        'loss += 0.0 * losses["control_loss"]',
        LOSS,
    ),
    Mutant(
        "no_value_replay",
        SCRIPT,
        'loss += tasks.value_weight * agent.value_weight * losses["value_replay_loss"]',
        'loss += 0.0 * losses["value_replay_loss"]',
        LOSS,
    ),
    Mutant(
        "no_reward_prediction",
        SCRIPT,
        'loss += tasks.reward_weight * losses["reward_loss"]',
        'loss += 0.0 * losses["reward_loss"]',
        LOSS,
    ),
    Mutant(
        "histories_are_as_they_come",
        "research/rl/replay/sequences.py",
        "kind = jax.random.bernoulli(kind_key, 0.5, (size,))",
        "kind = jax.random.bernoulli(kind_key, 0.1, (size,))",
        "tests/rl/replay/test_sequences.py"
        "::test_histories_are_of_one_episode_and_half_of_them_rewarding",
    ),
    Mutant(
        "advantages_carry_a_gradient",
        SCRIPT,
        "policy.log_prob(steps.action) * jax.lax.stop_gradient(advantage)",
        "policy.log_prob(steps.action) * advantage",
        f"{UPDATE}::test_returns_and_advantages_are_constants",
    ),
    Mutant(
        "terminations_are_bootstrapped_through",
        AUXILIARY,
        "lambda_returns(reward, value[1:], ended, ended, gamma, 1.0)",
        "lambda_returns(reward, value[1:], over_cells(truncated), ended, gamma, 1.0)",
        LOSS,
    ),
    Mutant(
        "memory_goes_on_over_the_ends_of_episodes",
        NETWORK,
        "hidden, carry = self.lstm(carry, inputs, first)",
        "hidden, carry = self.lstm(carry, inputs, first & False)",
        f"{UPDATE}::test_the_memory_is_forgotten_where_an_episode_begins",
    ),
    Mutant(
        "advantages_of_control_have_a_mean",
        NETWORK,
        "return value + advantage - advantage.mean(axis=-1, keepdims=True)",
        "return value + advantage",
        "tests/papers/unreal/test_unreal.py::test_dueling_head",
    ),
    Mutant(
        "pixels_change_over_the_whole_picture",
        AUXILIARY,
        "return x[:, top : top + crop, left : left + crop].astype(jnp.float32)",
        "return x[:, :crop, :crop].astype(jnp.float32)",
        "tests/papers/unreal/test_auxiliary.py::test_pixel_change_equals_numpy",
    ),
    Mutant(
        "last_action_is_not_fed",
        NETWORK,
        "one_hot_action = jax.nn.one_hot(last_action, self.num_actions)",
        "one_hot_action = 0 * jax.nn.one_hot(last_action, self.num_actions)",
        "tests/papers/unreal/test_unreal.py"
        "::test_acting_and_learning_are_the_same_network_and_its_memory_is_stored",
    ),
    Mutant(
        "paper_controls_as_in_labyrinth",
        "configs/unreal.py",
        "config.auxiliary.control_weight = 0.001",
        "config.auxiliary.control_weight = 0.03",
        "tests/papers/unreal/test_paper_table.py::test_settings[paper]",
    ),
]
