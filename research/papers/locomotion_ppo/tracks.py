"""Bodies on tracks with obstacles, as environments; and how far a policy gets on given tracks."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from research.papers.locomotion_ppo.terrain import Tracks
from research.rl.envs.environments import Step

# Observations [N, ...], key -> actions [N, ...].
Act = Callable[[jax.Array, jax.Array], jax.Array]


class Limbs(NamedTuple):
    """A body as it is drawn from the side, in metres.

    Attributes:
      places: `[T, L, P, 2]`, points along L lines, forward and up.
      radius: `[L]`, of the lines.
      side: `[L]`, -1 for a far limb, 0 for the trunk, 1 for a near limb.
    """

    places: np.ndarray
    radius: np.ndarray
    side: np.ndarray


@dataclasses.dataclass(frozen=True, eq=False)
class OnTracks:
    """A `SingleEnvironment` of one body; each episode is on a track drawn at random.

    An observation is proprioception, then exteroception: heights of the ground. An episode
    terminates when the body has fallen, and is truncated at the time limit or the track's end.

    Attributes:
      tracks: the terrain.
      horizon: steps after which an episode is truncated.
      blind: without exteroception.
    """

    tracks: Tracks
    horizon: int
    blind: bool = False

    num_actions = 0

    @property
    def action_size(self) -> int:
        raise NotImplementedError

    @property
    def proprioception(self) -> int:
        """Numbers of an observation that are of the body itself."""
        raise NotImplementedError

    @property
    def sensors(self) -> int:
        """Heights of the ground that a body sees which is not blind."""
        raise NotImplementedError

    @property
    def step_seconds(self) -> float:
        """Simulated time of a step."""
        raise NotImplementedError

    def begin(self, key: jax.Array, track: jax.Array) -> tuple[jax.Array, Any]:
        """Begins an episode on a track `[]` int: its first observation, and the state."""
        raise NotImplementedError

    def advance(
        self, env_state: Any, action: jax.Array
    ) -> tuple[jax.Array, Any, jax.Array, jax.Array, jax.Array]:
        """Makes a step, after which nothing is reset.

        Returns:
          Observation, state, reward, terminated and truncated.
        """
        raise NotImplementedError

    def place(self, env_state: Any) -> jax.Array:
        """Metres from the track's start to the body."""
        raise NotImplementedError

    def limbs(self, states: Any) -> Limbs:
        """The body in states `[T, ...]`, to be drawn."""
        raise NotImplementedError

    @property
    def exteroception(self) -> int:
        """Numbers of an observation that are heights of the ground."""
        return 0 if self.blind else self.sensors

    @property
    def observation_space(self) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct((self.proprioception + self.exteroception,), jnp.float32)

    def reset(self, key: jax.Array) -> tuple[jax.Array, Any]:
        key, track_key = jax.random.split(key)
        return self.begin(key, jax.random.randint(track_key, (), 0, len(self.tracks.heights)))

    def step(self, key: jax.Array, env_state: Any, action: jax.Array) -> Step:
        final, after, reward, terminated, truncated = self.advance(env_state, action)
        truncated &= ~terminated
        done = terminated | truncated
        fresh = self.reset(key)
        observation, after = jax.tree.map(lambda a, b: jnp.where(done, a, b), fresh, (final, after))
        info = {"final_observation": final, "life_lost": jnp.zeros((), bool)}
        return observation, after, reward, terminated, truncated, info


def play_tracks(env: OnTracks, act: Act, key: jax.Array) -> tuple[jax.Array, Any]:
    """Plays one episode on each of the environment's tracks.

    Args:
      env: the body on its tracks.
      act: `(observations [tracks, ...], key) -> actions [tracks, ...]`.
      key: of these episodes.

    Returns:
      Metres that the body came forward `[tracks]`, a fall being the end; and the states
      `[horizon + 1, tracks, ...]`, which stay as they are from an episode's end on.
    """
    count = len(env.tracks.heights)
    begin_key, act_key = jax.random.split(key)
    observation, first = jax.vmap(env.begin)(jax.random.split(begin_key, count), jnp.arange(count))

    def body(carry: Any, key: jax.Array) -> tuple[Any, Any]:
        observation, env_state, running = carry
        action = act(observation, key)
        new_observation, new_state, _, terminated, truncated = jax.vmap(env.advance)(
            env_state, action
        )

        def where_running(new: jax.Array, old: jax.Array) -> jax.Array:
            return jnp.where(running.reshape(-1, *[1] * (new.ndim - 1)), new, old)

        observation, env_state = jax.tree.map(
            where_running, (new_observation, new_state), (observation, env_state)
        )
        return (observation, env_state, running & ~(terminated | truncated)), env_state

    _, states = jax.lax.scan(
        body, (observation, first, jnp.ones(count, bool)), jax.random.split(act_key, env.horizon)
    )
    states = jax.tree.map(lambda a, b: jnp.concatenate([a[None], b]), first, states)
    places = jax.vmap(jax.vmap(env.place))(states)
    return places[-1] - places[0], states
