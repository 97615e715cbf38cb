"""Tiny decision problems with known values: each fails for one kind of mistake in an agent.

Each is a table; the agent sees the state as an image of one grey level, or where actions are
continuous as a number. `values` solves the table exactly, so that what an agent learned can be
compared with the truth.
"""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from research.rl.envs.environments import SingleEnvironment, Step, Vectorized

_SIZE = (3, 3, 1)


@dataclasses.dataclass(frozen=True)
class Probe:
    """A table of S states and A actions, as a `SingleEnvironment`.

    Attributes:
      levels: `[S]` grey level that a state is seen as.
      starts: states that an episode begins in, equally likely.
      next_state: `[S][A]` next state; -1 where the episode terminates.
      reward: `[S][A]` expected reward.
      time_limit: episodes are truncated after so many steps; 0 for never.
      noisy: rewards are +1 or -1 at random with the expectation of the table.
    """

    levels: tuple[int, ...]
    starts: tuple[int, ...]
    next_state: tuple[tuple[int, ...], ...]
    reward: tuple[tuple[float, ...], ...]
    time_limit: int = 0
    noisy: bool = False

    action_size = 0

    @property
    def num_actions(self) -> int:
        return len(self.reward[0])

    @property
    def observation_space(self) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct(_SIZE, jnp.uint8)

    def observe(self, state: jax.Array) -> jax.Array:
        """Image `[3, 3, 1]` uint8 of a state."""
        return jnp.full(_SIZE, jnp.array(self.levels, jnp.uint8)[state])

    def values(self, gamma: float) -> np.ndarray:
        """Optimal action values `[S, A]`; a time limit does not change them."""
        reward, next_state = np.array(self.reward), np.array(self.next_state)
        q = np.zeros_like(reward)
        for _ in range(200):
            after = np.where(next_state < 0, 0.0, q.max(axis=1)[next_state])
            q = reward + gamma * after
        return q

    def reset(self, key: jax.Array) -> tuple[jax.Array, dict[str, jax.Array]]:
        return _begin(self, key)

    def step(self, key: jax.Array, env_state: dict[str, jax.Array], action: jax.Array) -> Step:
        reset_key, noise_key = jax.random.split(key)
        state = env_state["state"]
        reward = jnp.array(self.reward, jnp.float32)[state, action]
        noise = jnp.where(jax.random.bernoulli(noise_key, (1 + reward) / 2), 1.0, -1.0)
        reward = jnp.where(self.noisy, noise, reward)
        next_state = jnp.array(self.next_state)[state, action]
        return _go_on(self, reset_key, env_state, next_state, reward)


@dataclasses.dataclass(frozen=True)
class ContinuousProbe:
    """S states and one continuous action: reward `bonus - (action - best)^2`.

    Attributes:
      levels: `[S]` number that a state is seen as, an observation `[1]`.
      starts: states that an episode begins in, equally likely.
      next_state: `[S]` next state; -1 where the episode terminates.
      best: `[S]` the best action, in [-1, 1].
      bonus: `[S]` its reward.
      time_limit: episodes are truncated after so many steps; 0 for never.
    """

    levels: tuple[float, ...]
    starts: tuple[int, ...]
    next_state: tuple[int, ...]
    best: tuple[float, ...]
    bonus: tuple[float, ...]
    time_limit: int = 0

    num_actions, action_size = 0, 1

    @property
    def observation_space(self) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct((1,), jnp.float32)

    def observe(self, state: jax.Array) -> jax.Array:
        """Vector `[1]` of a state."""
        return jnp.array(self.levels, jnp.float32)[state][None]

    def values(self, gamma: float) -> np.ndarray:
        """Values `[S]` of the best actions; a time limit does not change them."""
        bonus, next_state = np.array(self.bonus), np.array(self.next_state)
        values = np.zeros_like(bonus)
        for _ in range(200):
            values = bonus + gamma * np.where(next_state < 0, 0.0, values[next_state])
        return values

    def reset(self, key: jax.Array) -> tuple[jax.Array, dict[str, jax.Array]]:
        return _begin(self, key)

    def step(self, key: jax.Array, env_state: dict[str, jax.Array], action: jax.Array) -> Step:
        state = env_state["state"]
        miss = jnp.clip(action[0], -1, 1) - jnp.array(self.best, jnp.float32)[state]
        reward = jnp.array(self.bonus, jnp.float32)[state] - miss**2
        return _go_on(self, key, env_state, jnp.array(self.next_state)[state], reward)


def _begin(
    probe: Probe | ContinuousProbe, key: jax.Array
) -> tuple[jax.Array, dict[str, jax.Array]]:
    state = jax.random.choice(key, jnp.array(probe.starts))
    return probe.observe(state), {"state": state, "time": jnp.zeros((), jnp.int32)}


def _go_on(
    probe: Probe | ContinuousProbe,
    key: jax.Array,
    env_state: dict[str, jax.Array],
    next_state: jax.Array,
    reward: jax.Array,
) -> Step:
    """The step to state `next_state`, or to a new episode where that is -1 or the time is over."""
    time = env_state["time"] + 1
    terminated = next_state < 0
    truncated = (time == probe.time_limit) & ~terminated
    final = probe.observe(jnp.maximum(next_state, 0))
    first, fresh = probe.reset(key)
    done = terminated | truncated
    env_state = {
        "state": jnp.where(done, fresh["state"], next_state),
        "time": jnp.where(done, 0, time),
    }
    info = {"final_observation": final, "life_lost": jnp.zeros((), bool)}
    return jnp.where(done, first, final), env_state, reward, terminated, truncated, info


PROBES = {
    # One state, one step: are rewards learned at all?
    "probe_constant": Probe((255,), (0,), ((-1, -1),), ((1, 1),)),
    # The reward depends on what is seen.
    "probe_observation": Probe((0, 255), (0, 1), ((-1, -1),) * 2, ((-1, -1), (1, 1))),
    # The reward comes a step later: is the next value counted, and discounted?
    "probe_two_step": Probe((0, 255), (0,), ((1, 1), (-1, -1)), ((0, 0), (1, 1))),
    # The reward depends on the action.
    "probe_action": Probe((255,), (0,), ((-1, -1),), ((-1, 1),)),
    # On both.
    "probe_both": Probe((0, 255), (0, 1), ((-1, -1),) * 2, ((1, -1), (-1, 1))),
    # A reward at each step but an episode's first, for ever, seen in pieces of four steps. Who
    # takes truncation for termination, or goes on from the next episode's first observation, is
    # wrong.
    "probe_truncation": Probe((0, 255), (0,), ((1, 1), (1, 1)), ((0, 0), (1, 1)), time_limit=4),
    # What was seen a step ago must be recalled: solved with two frames, and not with one.
    "probe_recall": Probe(
        (0, 255, 128, 128),
        (0, 1),
        ((2, 2), (3, 3), (-1, -1), (-1, -1)),
        ((0, 0), (0, 0), (1, -1), (-1, 1)),
    ),
    # The reward is random: its mean is learned.
    "probe_noisy": Probe((255,), (0,), ((-1, -1),), ((0.5, -0.5),), noisy=True),
}


CONTINUOUS_PROBES = {
    # The reward depends on the action alone.
    "probe_continuous_action": ContinuousProbe((0,), (0,), (-1,), (0.5,), (0,)),
    # On what is seen too: does the action follow it?
    "probe_continuous_both": ContinuousProbe((-1, 1), (0, 1), (-1, -1), (0.5, -0.5), (0, 0)),
    # As `probe_truncation`, and there is something to do meanwhile.
    "probe_continuous_truncation": ContinuousProbe(
        (-1, 1), (0,), (1, 1), (0.5, -0.5), (0, 1), time_limit=4
    ),
}


def make(name: str, num_envs: int) -> Vectorized:
    """`num_envs` copies of a probe."""
    env: SingleEnvironment = PROBES[name] if name in PROBES else CONTINUOUS_PROBES[name]
    return Vectorized(env, num_envs)
