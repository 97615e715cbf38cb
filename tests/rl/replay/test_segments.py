"""Segments replayed against lists of what was played, which forget nothing."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from research.rl.acting.actor import Actors
from research.rl.acting.distributions import Categorical
from research.rl.envs.environments import StackFrames, Vectorized
from research.rl.replay import segments
from research.rl.replay.segments import Segments

N, T = 3, 5
KINDS = {"images": ((2, 2, 1), jnp.uint8), "vectors": ((2,), jnp.float32)}


class Noise:
    """Random observations, all different; terminates and is truncated at random."""

    num_actions, action_size = 4, 0

    def __init__(self, kind):
        self.shape, self.dtype = KINDS[kind]

    @property
    def observation_space(self):
        return jax.ShapeDtypeStruct(self.shape, self.dtype)

    def reset(self, key):
        return self._frame(key), jnp.int32(0)

    def step(self, key, env_state, action):
        keys = jax.random.split(key, 4)
        after, fresh = self._frame(keys[0]), self._frame(keys[1])
        chance = jax.random.uniform(keys[2])
        terminated, truncated = chance < 0.15, chance > 0.85
        seen = jnp.where(terminated | truncated, fresh, after)
        reward = jax.random.normal(keys[3])
        info = {"final_observation": after, "life_lost": (chance > 0.4) & (chance < 0.5)}
        return seen, env_state + 1, reward, terminated, truncated, info

    def _frame(self, key):
        return jax.random.randint(key, self.shape, 1, 256).astype(self.dtype)


def policy(seen):
    """Logits that tell what was seen."""
    return Categorical(jnp.stack([seen.reshape(len(seen), -1).mean(axis=1)] * 4, axis=1) / 255)


def played(kind, depth, count, **settings):
    """Segments one after the other, as NumPy arrays."""
    env = StackFrames(Vectorized(Noise(kind), N), depth)
    actors = Actors.start(env, jax.random.key(0))

    def body(actors, key):
        actors, segment, metrics = segments.collect_segment(env, actors, policy, key, T, **settings)
        return actors, (segment, metrics)

    _, (made, metrics) = jax.jit(
        lambda a: jax.lax.scan(body, a, jax.random.split(jax.random.key(1), count))
    )(actors)
    return [jax.tree.map(lambda x, i=i: np.asarray(x[i]), made) for i in range(count)], metrics


@pytest.mark.parametrize(("kind", "depth"), [("images", 4), ("vectors", 1)])
def test_what_is_sampled_was_played_and_is_of_the_newest(kind, depth):
    replay = Segments(N, T, capacity=4 * T * N + 7, depth=depth)  # four segments of each
    history, _ = played(kind, depth, 7)
    state = replay.init(history[0])
    add, sample = jax.jit(replay.add), jax.jit(replay.sample)
    for count, segment in enumerate(history, 1):
        state = add(state, segment)
        held, seen = history[max(0, count - 4) : count], set()
        for key in range(30):
            drawn = jax.tree.map(np.asarray, sample(state, jax.random.key(key)))
            for i in range(N):
                mine = [
                    j
                    for j, old in enumerate(held)
                    if (old.reward[:, i] == drawn.reward[:, i]).all()
                ]
                assert len(mine) == 1, "not a segment of this environment, or one written over"
                seen.add((i, mine[0]))
                jax.tree.map(
                    lambda a, b, i=i: np.testing.assert_array_equal(a[:, i], b[:, i]),
                    drawn,
                    held[mine[0]],
                )
        if count in (1, 7):
            assert len(seen) == N * len(held)


def test_segments_follow_each_other_and_stacks_end_with_episodes():
    """What a step leads to is the next one's observation, or the episode's last."""
    history, metrics = played("images", 3, 6)
    whole = jax.tree.map(lambda *x: np.concatenate(x), *history)
    seen, following, ended = whole.observation, whole.next_observation, whole.reset
    assert ended.any() and whole.terminated.any() and (ended & ~whole.terminated).any()
    for t in range(len(seen) - 1):
        for i in range(N):
            np.testing.assert_array_equal(following[t, i, ..., :-1], seen[t, i, ..., 1:])
            if ended[t, i]:
                assert (seen[t + 1, i, ..., :-1] == 0).all() and (seen[t + 1, i] > 0).any()
                assert (seen[t + 1, i, ..., -1] != following[t, i, ..., -1]).any()
            else:
                np.testing.assert_array_equal(seen[t + 1, i], following[t, i])
    np.testing.assert_allclose(whole.policy.logits, jax.vmap(policy)(seen).logits, rtol=1e-6)
    total, returns = np.zeros(N), []
    for t in range(T):
        total += whole.reward[t]
        returns += list(total[ended[t]])
        total[ended[t]] = 0
    np.testing.assert_allclose(metrics["train/return"][0], np.mean(returns), rtol=1e-5)


def test_a_lost_life_ends_the_value_but_not_the_episode():
    plain, _ = played("vectors", 2, 3)
    lives, _ = played("vectors", 2, 3, life_loss_ends=True, reward_clip=0.5)
    terminated = np.concatenate([x.terminated for x in lives])
    before = np.concatenate([x.terminated for x in plain])
    assert (terminated & ~before).any() and not (before & ~terminated).any()
    for a, b in zip(plain, lives, strict=True):
        np.testing.assert_array_equal(a.reset, b.reset)
        np.testing.assert_array_equal(a.observation, b.observation)
        np.testing.assert_array_equal(np.clip(a.reward, -0.5, 0.5), b.reward)
