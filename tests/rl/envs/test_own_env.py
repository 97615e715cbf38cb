"""Environments of one's own: the same games as by name, and one line for what is none."""

import sys

import jax
import numpy as np
import pytest

from research.core import UserError
from research.rl.envs import games, gymnax_env, own_env

SOURCE = """
import gymnax
import sys

import jax
import jax.numpy as jnp
from gymnax.environments import spaces


def cartpole():
    return gymnax.make("CartPole-v1")


def pendulum():
    return gymnax.make("Pendulum-v1")[0]


class Images:
    num_actions = 2
    dtype = jnp.uint8

    def action_space(self, params):
        return spaces.Discrete(2)

    def reset(self, key, params):
        return jnp.zeros((4, 5, 3), self.dtype), jnp.zeros((), jnp.int32)

    def step(self, key, state, action, params):
        ended = state >= 3
        image = jnp.full((4, 5, 3), state, self.dtype)
        after = jnp.where(ended, 0, state + 1)
        return image, after, 1, ended, ended, {"final_observation": image}


class Floats(Images):
    dtype = jnp.float32


class Old(Images):
    def step(self, key, state, action, params):
        return jnp.zeros((4, 5, 3), self.dtype), state, 0.0, False, {}


class Growing(Images):
    def step(self, key, state, action, params):
        image, state, *rest = super().step(key, state, action, params)
        return image, state + 0.5, *rest


class Several(Images):
    def step(self, key, state, action, params):
        image, state, _, *rest = super().step(key, state, action, params)
        return image, state, jnp.zeros(2), *rest


class Square(Images):
    def reset(self, key, params):
        return jnp.zeros((4, 5)), jnp.zeros(())


def number():
    return 7


def fails():
    raise KeyError("no such map")


text = "none"
"""


@pytest.fixture
def mine(tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text(SOURCE)
    (tmp_path / "broken.py").write_text("1 / 0\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    for name in ("mine", "broken"):
        sys.modules.pop(name, None)
    yield
    for name in ("mine", "broken"):
        sys.modules.pop(name, None)


def play(env, actions):
    key = jax.random.key(0)
    observation, state = env.reset(key)
    seen = [observation]
    for i, action in enumerate(actions):
        observation, state, *rest, info = env.step(jax.random.fold_in(key, i), state, action)
        seen += [observation, *rest, info["final_observation"]]
    return seen


@pytest.mark.parametrize(
    ("own", "named", "draw"),
    [
        ("mine:cartpole", "CartPole-v1", lambda rng: rng.integers(0, 2, 3)),
        ("mine:pendulum", "Pendulum-v1", lambda rng: rng.uniform(-1, 1, (3, 1))),
    ],
)
def test_the_same_game_by_name_and_as_ones_own(mine, own, named, draw):
    rng = np.random.default_rng(0)
    actions = [draw(rng).astype(np.float32 if "pend" in own else np.int32) for _ in range(40)]
    ours, theirs = (gymnax_env.make(name, 3) for name in (own, named))
    assert (ours.num_actions, ours.action_size) == (theirs.num_actions, theirs.action_size)
    assert ours.observation_space == theirs.observation_space
    for a, b in zip(play(ours, actions), play(theirs, actions), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4)  # parameters are arguments, not constants


def test_images(mine):
    settings = games.Settings("mine:Images", 2, stack=2)
    assert not games.is_atari(settings.name)
    env = games.training_environment(settings)
    assert env.observation_space.shape == (4, 5, 6) and env.num_actions == 2
    terminated = [x[3] for x in [_step(env, i) for i in range(1)]]
    assert terminated[0].dtype == bool
    single = own_env.load("mine:Images")
    *_, reward, ended, cut, info = single.step(jax.random.key(0), np.int32(3), np.int32(0))
    assert reward.dtype == np.float32 and bool(ended) and not bool(cut), "the task's end counts"
    assert info["final_observation"].dtype == np.uint8


def _step(env, i):
    _, state = env.reset(jax.random.key(i))
    return env.step(jax.random.key(i), state, np.zeros(env.num_envs, np.int32))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("mine:nothing", "mine has no function nothing"),
        ("mine:text", "mine has no function text"),
        ("nowhere.at_all:make", "there is no module 'nowhere'"),
        ("broken:make", "importing broken raises ZeroDivisionError: division by zero"),
        ("mine:fails", "mine:fails() raises KeyError: 'no such map'"),
        ("mine:number", "gives 'int', which has no reset and no step and no action_space"),
        ("mine:Floats", "observations that are images are uint8, not float32"),
        ("mine:Square", "observations are vectors or images [H, W, C], not [4, 5]"),
        ("mine:Old", "terminated, truncated, info as in gymnax 1"),
        ("mine:Growing", "a step changes the shapes or types"),
        ("mine:Several", "the reward is one number, not [2]"),
        ("mine", "no environment 'mine'"),
        ("mine:", "an environment of yours is package.module:make"),
        ("../mine:make", "an environment of yours is package.module:make"),
        ("a b:c d", "an environment of yours is package.module:make"),
    ],
)
def test_what_is_no_environment_is_one_line(mine, name, said):
    with pytest.raises(UserError) as caught:
        gymnax_env.make(name, 2)
    assert said in str(caught.value) and "\n" not in str(caught.value)
