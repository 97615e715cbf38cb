"""Environments of Gymnasium: the same episodes as by its own loop, wherever they begin."""

import json
from pathlib import Path

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from research import app, config
from research.core.errors import UserError
from research.rl.envs import games, gymnasium_env

ROOT = Path(__file__).resolve().parents[3]
N, STEPS = 3, 60


def cart_poles():
    return gymnasium_env.make("gymnasium:CartPole-v1", N)


def play(env, start, steps, seed):
    """Steps with random actions from (observation, state): both at the end, and what was seen."""
    observation, env_state = start
    step = jax.jit(env.step)
    seen = []
    for key in jax.random.split(jax.random.key(seed), steps):
        if env.num_actions:
            action = jax.random.randint(key, (env.num_envs,), 0, env.num_actions)
        else:
            shape = env.num_envs, env.action_size
            action = jax.random.uniform(key, shape, minval=-1.5, maxval=1.5)
        observation, env_state, reward, terminated, truncated, info = step(key, env_state, action)
        seen.append((action, observation, reward, terminated, truncated, info["final_observation"]))
    return (observation, env_state), [jax.tree.map(np.asarray, x) for x in seen]


@pytest.mark.parametrize("name", ["CartPole-v1", "Pendulum-v1"])
def test_episodes_are_those_of_gymnasiums_own_loop(name):
    env = gymnasium_env.make(f"gymnasium:{name}", N)
    key = jax.random.key(5)
    start = env.reset(key)
    plain = [gymnasium.make(name) for _ in range(N)]
    seeds = np.asarray(start[1].log.seed)
    for i, one in enumerate(plain):
        np.testing.assert_array_equal(start[0][i], one.reset(seed=int(seeds[i]))[0])
    _, seen = play(env, start, STEPS, seed=0)
    ended = 0
    keys = jax.random.split(jax.random.key(0), STEPS)
    for key, (action, observation, reward, terminated, truncated, final) in zip(
        keys, seen, strict=True
    ):
        next_seed = np.asarray(gymnasium_env.episode_seeds(key, N))
        for i, one in enumerate(plain):
            # Pendulum's torque is from -2 to 2, and is asked for between -1 and 1.
            given = int(action[i]) if env.num_actions else 2 * np.clip(action[i], -1, 1)
            expected = one.step(given)
            np.testing.assert_array_equal(final[i], expected[0])
            assert reward[i] == np.float32(expected[1])
            assert (terminated[i], truncated[i]) == expected[2:4]
            first = one.reset(seed=int(next_seed[i]))[0] if terminated[i] else expected[0]
            np.testing.assert_array_equal(observation[i], first)
            ended += terminated[i]
    assert ended > 3 or env.action_size


def test_a_state_decides_what_follows_in_another_process_too():
    env = cart_poles()
    middle, _ = play(env, env.reset(jax.random.key(1)), 7, seed=2)
    kept = jax.device_get(middle)
    _, expected = play(env, middle, STEPS, seed=3)
    # Back in the same copies, which have gone on; and in new ones, as after a restart.
    for again in (env, cart_poles()):
        _, found = play(again, kept, STEPS, seed=3)
        jax.tree.map(np.testing.assert_array_equal, found, expected)


def test_same_length_and_seed_but_other_actions_are_another_state():
    env = cart_poles()
    start = env.reset(jax.random.key(1))
    ahead = [play(env, start, 4, seed=seed) for seed in (1, 2)]
    assert not np.array_equal(ahead[0][0][0], ahead[1][0][0])
    after = [play(env, middle, 1, seed=9)[1] for middle, _ in (ahead[0], ahead[1], ahead[0])]
    jax.tree.map(np.testing.assert_array_equal, after[0], after[2])


def test_a_time_limit_truncates():
    name = "Pendulum-v1"
    env = gymnasium_env.Gymnasium(name, lambda: gymnasium.make(name, max_episode_steps=5), 2)
    _, seen = play(env, env.reset(jax.random.key(0)), 11, seed=0)
    truncated = [bool(x[4].all()) for x in seen]
    assert truncated == [False] * 4 + [True] + [False] * 4 + [True, False]
    assert env.max_steps == 5 and not any(x[3].any() for x in seen)


def test_gymnax_and_gymnasium_have_the_same_cart_pole():
    """Returns of one policy within noise: the standard error of the difference three times."""
    means, errors = [], []
    for name in ("CartPole-v1", "gymnasium:CartPole-v1"):
        env = games.training_environment(games.Settings(name, num_envs=8))
        observation, env_state = env.reset(jax.random.key(0))
        step, lengths, running = jax.jit(env.step), [], np.zeros(8)
        for key in jax.random.split(jax.random.key(1), 250):
            action = (observation[:, 2] + 0.1 * observation[:, 3] > 0.02).astype(jnp.int32)
            observation, env_state, reward, *ends, _ = step(key, env_state, action)
            running += np.asarray(reward)
            done = np.logical_or(*map(np.asarray, ends))
            lengths += running[done].tolist()
            running[done] = 0
        means.append(np.mean(lengths))
        errors.append(np.std(lengths) / np.sqrt(len(lengths)))
    assert abs(means[0] - means[1]) < 3 * np.hypot(*errors), (means, errors)


MODULE = """
import gymnasium
import numpy as np

def cart_pole():
    return gymnasium.make("CartPole-v1")

def endless():
    from gymnasium.envs.classic_control.pendulum import PendulumEnv
    return PendulumEnv()

def in_words():
    env = gymnasium.make("CartPole-v1")
    env.observation_space = gymnasium.spaces.Text(5)
    return env

def two_hands():
    env = gymnasium.make("CartPole-v1")
    env.action_space = gymnasium.spaces.MultiDiscrete([2, 2])
    return env

def floating_picture():
    env = gymnasium.make("CartPole-v1")
    env.observation_space = gymnasium.spaces.Box(0, 1, (4, 4, 1))
    return env
"""


@pytest.fixture
def own(tmp_path, monkeypatch):
    (tmp_path / "own_gymnasium.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)


def test_one_of_ones_own(own):
    assert gymnasium_env.makes_gymnasium("own_gymnasium:cart_pole")
    env = games.training_environment(games.Settings("own_gymnasium:cart_pole", num_envs=2))
    assert env.num_actions == 2 and env.observation_space.shape == (4,)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("gymnasium:CartPol-v1", "CartPol"),
        ("gymnasium:", "env.name"),
        ("own_gymnasium:endless", "has no time limit"),
        ("own_gymnasium:in_words", "observations are vectors or images"),
        ("own_gymnasium:two_hands", "actions are one of a number or of a bounded box"),
        ("own_gymnasium:floating_picture", "images are uint8"),
        ("own_gymnasium:nothing", "has no function nothing"),
    ],
)
def test_what_no_agent_can_play_is_refused(name, said, own):
    with pytest.raises(UserError, match=said) as error:
        games.training_environment(games.Settings(name, num_envs=2))
    assert "\n" not in str(error.value)


def test_an_agent_learns_and_is_shown_in_one(tmp_path):
    script = config.load_module(ROOT / "experiments" / "ppo.py")
    flags = ["--config", f"{ROOT}/configs/ppo.py:smoke", "--config.env.name=gymnasium:CartPole-v1"]
    assert app.main(script, [*flags, "--workdir", str(tmp_path / "run")]) == 0
    result = json.loads((tmp_path / "run" / "result.json").read_text("utf-8"))
    numbers = next(iter(next(iter(result["arms"].values())).values()))
    assert numbers["eval/return"] > 5
    assert list((tmp_path / "run").rglob("film.gif"))
