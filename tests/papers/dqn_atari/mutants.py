"""Ways to break DQN and its extensions, and what notices each."""

from tests.mutants import Mutant

SCRIPT = "experiments/dqn_atari.py"
FRAMES = "research/rl/replay/frames.py"
PRIORITIZED = "research/rl/replay/prioritized.py"
REPLAY = "tests/rl/replay/test_frames.py"
UPDATE = "tests/papers/dqn_atari/test_update.py::test_two_updates_are_the_papers"

MUTANTS = [
    Mutant(
        "double_q_is_plain",
        SCRIPT,
        "selector_q = self.q(params, batch.next_observation) if self.double else next_q",
        "selector_q = next_q",
        f"{UPDATE}[double]",
    ),
    Mutant(
        "target_network_is_not_used",
        SCRIPT,
        "next_q = self.q(target_params, batch.next_observation)",
        "next_q = self.q(params, batch.next_observation)",
        f"{UPDATE}[2015]",
    ),
    Mutant(
        "target_network_is_never_copied",
        SCRIPT,
        "learner.params, agent.target_params, number + 1, self.target_period_updates",
        "agent.target_params, agent.target_params, number + 1, self.target_period_updates",
        "tests/papers/dqn_atari/test_update.py::test_the_target_is_copied_after_so_many_updates",
    ),
    Mutant(
        "huber_is_squared",
        SCRIPT,
        "optax.huber_loss(q, y, delta=1.0)",
        "(q - y) ** 2 / 2",
        f"{UPDATE}[2015]",
    ),
    Mutant(
        "importance_weights_are_dropped",
        SCRIPT,
        "jnp.mean(transition.weight * ",
        "jnp.mean((transition.weight > 0) * ",
        f"{UPDATE}[prioritized]",
    ),
    Mutant(
        "beta_is_frozen",
        SCRIPT,
        "beta = self.importance_exponent_start * (1 - progress) + progress",
        "beta = self.importance_exponent_start + 0 * progress",
        f"{UPDATE}[prioritized]",
    ),
    Mutant(
        "terminations_are_bootstrapped_through",
        "research/rl/returns.py",
        "discount = jnp.where(over, 0.0, gamma ** length.astype(jnp.float32))",
        "discount = gamma ** length.astype(jnp.float32)",
        f"{REPLAY}::test_everything_that_can_be_sampled_is_true",
    ),
    Mutant(
        "stacks_reach_into_the_episode_before",
        FRAMES,
        "frames = jnp.where((firsts_later > 0)[..., None], 0, frames)",
        "frames = jnp.where((firsts_later < 0)[..., None], 0, frames)",
        f"{REPLAY}::test_everything_that_can_be_sampled_is_true",
    ),
    Mutant(
        "the_write_head_is_sampled",
        FRAMES,
        "return low, state.filled - self.n_steps + 1",
        "return low, state.filled + 1",
        f"{REPLAY}::test_everything_that_can_be_sampled_is_true",
    ),
    Mutant(
        "priorities_of_what_was_not_learned_from",
        PRIORITIZED,
        "counts = (batch.weight > 0) & (now > 0)",
        "counts = now >= 0",
        "tests/rl/replay/test_prioritized.py"
        "::test_errors_of_what_was_not_learned_from_change_nothing",
    ),
    Mutant(
        "alpha_is_one",
        PRIORITIZED,
        "value = (jnp.abs(td_error) + _EPSILON) ** self.alpha",
        "value = jnp.abs(td_error) + _EPSILON",
        "tests/papers/dqn_atari/test_update.py::test_a_priority_is_the_error_to_the_power_of_alpha",
    ),
    Mutant(
        "rmsprop_is_not_centered",
        "research/optim/centered_rmsprop.py",
        "jnp.maximum(s - m * m, 0.0)",
        "s",
        f"{UPDATE}[2015]",
    ),
    Mutant(
        "epsilon_counts_from_the_first_frame",
        SCRIPT,
        "1.0, agent.epsilon_end, agent.epsilon_decay_frames, memory.learning_starts_frames",
        "1.0, agent.epsilon_end, agent.epsilon_decay_frames, 0",
        "tests/papers/dqn_atari/test_paper_table.py::test_the_experiment_has_them",
    ),
    Mutant(
        "paper_has_another_rate",
        "configs/dqn_atari.py",
        "config.optimizer.learning_rate = 2.5e-4",
        "config.optimizer.learning_rate = 6.25e-5",
        "tests/papers/dqn_atari/test_paper_table.py::test_settings_of_2015",
    ),
]
