"""All environments keep to one protocol; stacks never reach into the episode before."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from research.core import UserError
from research.papers.one_shot_imitation.block_stacking import BlockStacking
from research.papers.one_shot_imitation.particle_reaching import ParticleReaching
from research.rl.envs import games, gymnax_env, pixel_maze, probe_envs
from research.rl.envs.ale import Atari, AtariSpec, HostAtari
from research.rl.envs.environments import StackFrames, StickyActions, Vectorized

N = 3
SHORT = AtariSpec("breakout", N, sticky_actions=0.25, max_episode_frames=160)

ENVIRONMENTS = {
    "breakout-minatar": lambda: gymnax_env.make("Breakout-MinAtar", N),
    "breakout-minatar-sticky": lambda: gymnax_env.make("Breakout-MinAtar", N, sticky_actions=0.25),
    "asterix-minatar-full": lambda: gymnax_env.make("Asterix-MinAtar", N, full_action_space=True),
    "cartpole": lambda: gymnax_env.make("CartPole-v1", N),
    "acrobot": lambda: StackFrames(gymnax_env.make("Acrobot-v1", N), 1),
    "pendulum": lambda: StackFrames(gymnax_env.make("Pendulum-v1", N), 2),
    "mountain-car": lambda: gymnax_env.make("MountainCarContinuous-v0", N),
    "pixel-maze": lambda: Vectorized(pixel_maze.PixelMaze(), N),
    "probe": lambda: probe_envs.make("probe_truncation", N),
    "continuous-probe": lambda: probe_envs.make("probe_continuous_truncation", N),
    "particle": lambda: Vectorized(ParticleReaching(5, (2, 4)), N),
    "blocks": lambda: Vectorized(BlockStacking(4, ((2,), (2, 2)), 30), N),
    "ale-in-step": lambda: Atari(SHORT),
    "ale-on-host": lambda: HostAtari(SHORT),
    "stacked": lambda: StackFrames(Atari(SHORT), 4),
}


LONG = {"acrobot": 520, "pendulum": 220, "mountain-car": 1010}  # steps, where episodes are long


def random_action(env, key):
    if env.action_size:
        assert env.num_actions == 0
        return np.asarray(jax.random.uniform(key, (N, env.action_size), minval=-1, maxval=1))
    return np.asarray(jax.random.randint(key, (N,), 0, env.num_actions))


def methods(env):
    return (env.reset, env.step) if env.on_host else (jax.jit(env.reset), jax.jit(env.step))


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_protocol(name):
    env = ENVIRONMENTS[name]()
    reset, step = methods(env)
    key = jax.random.key(0)
    observation, env_state = reset(key)
    ends = 0
    dtype = np.uint8 if len(env.observation_space.shape) == 3 else np.float32
    for t in range(LONG.get(name, 120)):
        assert observation.shape == (N, *env.observation_space.shape)
        assert observation.dtype == env.observation_space.dtype == dtype
        action = random_action(env, jax.random.fold_in(key, t))
        structure = jax.tree.structure(env_state)
        observation, env_state, reward, terminated, truncated, info = step(
            jax.random.fold_in(key, 10_000 + t), env_state, action
        )
        assert jax.tree.structure(env_state) == structure
        assert reward.shape == (N,) and reward.dtype == np.float32
        assert terminated.dtype == truncated.dtype == info["life_lost"].dtype == bool
        assert not (terminated & truncated).any()
        ended = np.asarray(terminated | truncated)
        final = np.asarray(info["final_observation"])
        np.testing.assert_array_equal(final[~ended], np.asarray(observation)[~ended])
        assert not (np.asarray(info["life_lost"]) & ended).any()
        ends += ended.sum()
    assert ends > 0  # every environment here ends episodes


@pytest.mark.parametrize("name", ["breakout-minatar", "pixel-maze", "ale-in-step"])
def test_same_keys_same_game(name):
    env = ENVIRONMENTS[name]()
    reset, step = methods(env)
    runs = []
    for _ in range(2):
        observation, env_state = reset(jax.random.key(1))
        seen = [np.asarray(observation)]
        for t in range(60):
            observation, env_state, *_ = step(
                jax.random.key(t), env_state, jnp.full(N, t % 3, jnp.int32)
            )
            seen.append(np.asarray(observation))
        runs.append(np.stack(seen))
    np.testing.assert_array_equal(runs[0], runs[1])
    assert (runs[0][:, 0] != runs[0][:, 1]).any()  # copies differ from each other


def test_minatar_time_limit_truncates_and_only_then():
    env = gymnax_env.make("Freeway-MinAtar", 1)  # a game that never terminates
    step = jax.jit(env.step)
    _, env_state = jax.jit(env.reset)(jax.random.key(0))

    def body(env_state, key):
        _, env_state, _, terminated, truncated, _ = step(key, env_state, jnp.zeros(1, jnp.int32))
        return env_state, (terminated[0], truncated[0])

    keys = jax.random.split(jax.random.key(1), 2600)
    _, (terminated, truncated) = jax.lax.scan(body, env_state, keys)
    assert not terminated.any()
    assert np.flatnonzero(truncated).tolist() == [2499]


def test_time_limits_of_control_truncate_and_only_they():
    """Pendulum never terminates; Acrobot at rest does not either."""
    for name, limit in (("Pendulum-v1", 200), ("Acrobot-v1", 500)):
        env = gymnax_env.make(name, 1)
        action = jnp.zeros((1, 1)) if env.action_size else jnp.ones(1, jnp.int32)

        def body(env_state, key, env=env, action=action):
            _, env_state, _, terminated, truncated, _ = env.step(key, env_state, action)
            return env_state, (terminated[0], truncated[0])

        keys = jax.random.split(jax.random.key(1), limit + 1)
        _, (terminated, truncated) = jax.lax.scan(body, env.reset(jax.random.key(0))[1], keys)
        assert not terminated.any() and np.flatnonzero(truncated).tolist() == [limit - 1]


@pytest.mark.parametrize("name", ["Pendulum-v1", "MountainCarContinuous-v0"])
def test_continuous_actions_are_scaled_to_the_bounds(name):
    """-1 and 1 are the bounds of gymnasium's own, and what lies beyond is clipped."""
    import gymnasium

    theirs = gymnasium.make(name).unwrapped
    ours = gymnax_env.make(name, 1)
    _, env_state = ours.reset(jax.random.key(0))
    place = {"Pendulum-v1": (0.3, -0.4), "MountainCarContinuous-v0": (-0.5, 0.01)}[name]
    names = ("theta", "theta_dot") if name == "Pendulum-v1" else ("position", "velocity")
    env_state = env_state.replace(**{k: jnp.array([v]) for k, v in zip(names, place, strict=True)})
    for action in (-1.7, -1.0, 0.25, 1.0):
        theirs.reset()
        theirs.state = np.array(place)
        bounds = theirs.action_space
        scaled = bounds.low + (np.clip(action, -1, 1) + 1) / 2 * (bounds.high - bounds.low)
        expected, reward, *_ = theirs.step(scaled)
        observation, _, our_reward, *_ = ours.step(
            jax.random.key(1), env_state, jnp.array([[action]])
        )
        np.testing.assert_allclose(observation[0], expected, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(our_reward[0], reward, rtol=1e-4, atol=1e-5)


def test_minatar_end_of_the_game_at_the_time_limit_is_termination():
    env = gymnax_env.make("Breakout-MinAtar", 1)
    _, state = env.reset(jax.random.key(0))
    # The ball two rows above the floor, flying down, far from the paddle; one step is left.
    ball = {"ball_y": 8, "ball_x": 0, "ball_dir": 2, "last_y": 7, "last_x": 0, "pos": 9}
    state = state.replace(time=jnp.array([999]), **{k: jnp.array([v]) for k, v in ball.items()})
    *_, terminated, truncated, _ = env.step(jax.random.key(1), state, jnp.zeros(1, jnp.int32))
    assert terminated.tolist() == [True] and truncated.tolist() == [False]


@pytest.mark.parametrize("depth", [1, 3])
def test_stack_equals_loop_and_stops_at_the_episode(depth):
    env = StackFrames(probe_envs.make("probe_truncation", 2), depth)
    inner = probe_envs.make("probe_truncation", 2)
    observation, env_state = env.reset(jax.random.key(0))
    frame, inner_state = inner.reset(jax.random.key(0))
    zero = np.zeros_like(frame)
    history = [zero] * depth + [np.asarray(frame)]
    for t in range(12):
        key, action = jax.random.key(t), jnp.array([0, 1])
        observation, env_state, _, terminated, truncated, info = env.step(key, env_state, action)
        frame, inner_state, *_, inner_info = inner.step(key, inner_state, action)
        history.append(np.asarray(inner_info["final_observation"]))
        np.testing.assert_array_equal(
            info["final_observation"], np.concatenate(history[-depth:], axis=-1)
        )
        if (terminated | truncated).any():  # both copies are in step
            history = [zero] * depth + [np.asarray(frame)]
        np.testing.assert_array_equal(observation, np.concatenate(history[-depth:], axis=-1))


def play(name):
    return games.Settings(name, N)


def test_unknown_names_are_one_clear_line():
    with pytest.raises(UserError, match="Breakout-MinAtar"):
        gymnax_env.make("Breakin-MinAtar", 1)
    for name in ("CartPole-v1", "Pendulum-v1"):
        with pytest.raises(UserError, match="images and discrete actions"):
            games.training_frames(play(name))
        assert games.training_environment(play(name)).num_envs == N
    with pytest.raises(UserError, match="no environment or Atari game 'pongg'; names are pong"):
        HostAtari(AtariSpec("pongg", 1)).reset(jax.random.key(0))


@pytest.mark.parametrize("name", probe_envs.PROBES)
def test_probe_values_are_what_its_play_returns(name):
    """Monte Carlo returns of the optimal policy, played in the table, meet `values`."""
    gamma, probe = 0.5, probe_envs.PROBES[name]
    q = probe.values(gamma)
    policy = jnp.array(q.argmax(axis=1))
    env = probe_envs.make(name, 256)
    _, state = env.reset(jax.random.key(0))
    start = np.asarray(state["state"])
    alive, total = np.ones(256), np.zeros(256)
    for t in range(30):
        action = policy[state["state"]]
        state = {**state, "time": jnp.zeros_like(state["time"])}  # no time limit
        _, state, reward, terminated, _, _ = env.step(jax.random.key(t), state, action)
        total += alive * gamma**t * np.asarray(reward)
        alive *= ~np.asarray(terminated)
    tolerance = 0.2 if probe.noisy else 1e-4
    for s in set(start.tolist()):
        assert total[start == s].mean() == pytest.approx(q[s].max(), abs=tolerance)


@pytest.mark.parametrize("name", probe_envs.CONTINUOUS_PROBES)
def test_continuous_probe_values_are_what_its_play_returns(name):
    """Of the best actions, and of actions that miss them by 0.3 and so lose 0.09 each."""
    gamma, probe = 0.5, probe_envs.CONTINUOUS_PROBES[name]
    env = probe_envs.make(name, 64)
    _, first = env.reset(jax.random.key(0))
    start = np.asarray(first["state"])
    step = jax.jit(env.step)
    for miss in (0.0, 0.3):
        state, alive, total, discounts = first, np.ones(64), np.zeros(64), np.zeros(64)
        for t in range(30):
            best = jnp.array(probe.best)[state["state"]][:, None]
            state = {**state, "time": jnp.zeros_like(state["time"])}  # no time limit
            _, state, reward, terminated, _, _ = step(
                jax.random.key(t), state, best - jnp.sign(best) * miss
            )
            total += alive * gamma**t * np.asarray(reward)
            discounts += alive * gamma**t
            alive *= ~np.asarray(terminated)
        expected = probe.values(gamma)[start] - miss**2 * discounts
        np.testing.assert_allclose(total, expected, atol=1e-4)


def test_sticky_actions_repeat_the_last_one_in_their_share():
    """What is played is what was asked for, or what was played before: in 4,000 steps of games that
    end after one."""

    class Echo:
        """Shows the action that it was given."""

        num_actions, action_size = 7, 0
        observation_space = jax.ShapeDtypeStruct((), jnp.int32)

        def reset(self, key):
            return jnp.int32(-1), jnp.int32(0)

        def step(self, key, env_state, action):
            done = jnp.ones((), bool)
            info = {"final_observation": action, "life_lost": ~done}
            return jnp.int32(-1), env_state, jnp.float32(0), done, ~done, info

    env = Vectorized(StickyActions(Echo(), 0.1), 4)
    asked = jax.random.randint(jax.random.key(0), (1_000, 4), 1, 7)

    def step(env_state, xs):
        key, action = xs
        _, env_state, *_, info = env.step(key, env_state, action)
        return env_state, info["final_observation"]

    _, first = env.reset(jax.random.key(1))
    assert not first.last_action.any()  # 0 does nothing
    keys = jax.random.split(jax.random.key(2), 1_000)
    played = np.asarray(jax.lax.scan(step, first, (keys, asked))[1])
    asked, before = np.asarray(asked), np.concatenate([np.zeros((1, 4), int), played[:-1]])
    stuck = played != asked
    np.testing.assert_array_equal(played[stuck], before[stuck])
    share = (stuck & (asked != before)).sum() / (asked != before).sum()
    assert abs(share - 0.1) < 5 * (0.1 * 0.9 / 3_300) ** 0.5


def test_sticky_actions_are_a_setting_of_minatar_in_training_and_evaluation():
    settings = games.Settings("Breakout-MinAtar", 2, sticky_actions=0.1)
    for env in (
        games.training_environment(settings),
        games.evaluation_games(settings, games.EvaluationSettings(3)),
    ):
        assert env.env.env.probability == 0.1
    plain = games.training_environment(games.Settings("Breakout-MinAtar", 2))
    assert isinstance(plain.env.env, gymnax_env.MinAtar)
    with pytest.raises(UserError, match="sticky"):
        games.training_environment(games.Settings("CartPole-v1", 2, sticky_actions=0.1))
