"""The planar walker on tracks with obstacles, which it sees ahead of it (Heess et al. 2017,
arXiv:1707.02286, sections 3 and 4).

The observation is proprioception, then exteroception: the torso's pitch, its velocities, angles and
velocities of the joints, which of the feet's ends touch the ground; then the heights of the ground
below and ahead, from the torso's. The reward of a step is the way forward in metres, less a small
cost of torques, plus a small reward of an upright torso, as in the paper's planar tasks but with
our weights.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np

from research.papers.locomotion_ppo.planar_body import PlanarBody, Pose, walker
from research.papers.locomotion_ppo.terrain import START
from research.papers.locomotion_ppo.tracks import Limbs, OnTracks

SEEN = np.arange(-2, 23) * 0.125  # metres ahead of the torso
_DEEPEST = -0.5  # that it can tell
_STANDING = (0.2, -0.4, 0.2)  # hip, knee, ankle
_FALLEN = 0.65  # of the torso's center above the ground below it
_LEANING = 1.0  # rad
_IN_A_GAP = -0.4  # of a foot
_SUBSTEPS = 5


class TrackState(flax.struct.PyTreeNode):
    """The walker in the middle of an episode.

    Attributes:
      pose: of its body.
      touch: `[4]`, 1 for the feet's ends that are on the ground.
      track: the track's number.
      time: in steps.
    """

    pose: Pose
    touch: jax.Array
    track: jax.Array
    time: jax.Array


@dataclasses.dataclass(frozen=True, eq=False)
class PlanarTrack(OnTracks):
    """The walker; it has fallen when its torso is low or leans, or a foot is in a gap.

    Attributes:
      control_cost: per second, of the sum of squared actions.
      upright_reward: per second, of the cosine of the pitch.
    """

    control_cost: float = 0.02
    upright_reward: float = 0.1
    body: PlanarBody = dataclasses.field(default_factory=walker)

    action_size = 6
    proprioception = 20
    sensors = len(SEEN)

    @property
    def step_seconds(self) -> float:
        return _SUBSTEPS * self.body.time_step

    def begin(self, key: jax.Array, track: jax.Array) -> tuple[jax.Array, TrackState]:
        """Begins standing, but for a little noise."""
        noise = jax.random.uniform(key, (9,), minval=-0.05, maxval=0.05)
        joints = jnp.array(_STANDING)[:, None] + noise[:6].reshape(3, 2)
        legs = sum(link.length for link in self.body.links) * np.cos(_STANDING[0])
        sole = self.body.links[-1].points[0][1]
        root = jnp.array([START, legs - self.body.hinge[1] - sole, 0.0]).at[2].set(noise[6])
        velocity = jnp.concatenate([noise[7:], jnp.zeros(1)])
        pose = Pose(root, joints, velocity, jnp.zeros((3, 2)))
        env_state = TrackState(pose, jnp.zeros(4), track, jnp.zeros((), jnp.int32))
        return self.observe(env_state), env_state

    def advance(
        self, env_state: TrackState, action: jax.Array
    ) -> tuple[jax.Array, TrackState, jax.Array, jax.Array, jax.Array]:
        action = jnp.clip(action, -1, 1)
        torques = action.reshape(3, 2)

        def ground(x: jax.Array) -> tuple[jax.Array, jax.Array]:
            return self.tracks.profile(env_state.track, x)

        def substep(_: int, carry: tuple[Pose, jax.Array]) -> tuple[Pose, jax.Array]:
            pose, pressure = self.body.step(carry[0], torques, ground)
            return pose, pressure[-2:]

        pose, pressure = jax.lax.fori_loop(
            0, _SUBSTEPS, substep, (env_state.pose, jnp.zeros((2, 2)))
        )
        x, z, pitch = pose.root
        touch = (pressure > 0).astype(jnp.float32).reshape(4)
        after = TrackState(pose, touch, env_state.track, env_state.time + 1)
        forward = x - env_state.pose.root[0]
        cost = self.control_cost * (action**2).sum() - self.upright_reward * jnp.cos(pitch)
        lowest = self.body.points(pose)[..., 1].min()
        terminated = (
            (z - ground(x)[0] < _FALLEN) | (jnp.abs(pitch) > _LEANING) | (lowest < _IN_A_GAP)
        )
        over = (after.time >= self.horizon) | (x > self.tracks.length - 1.0)
        return (self.observe(after), after, forward - self.step_seconds * cost, terminated, over)

    def place(self, env_state: TrackState) -> jax.Array:
        return env_state.pose.root[0]

    def observe(self, env_state: TrackState) -> jax.Array:
        """The observation, `[proprioception + exteroception]`."""
        pose = env_state.pose
        proprioception = jnp.concatenate(
            [
                pose.root[2:],
                pose.root_velocity,
                pose.joints.reshape(-1),
                pose.joint_velocity.reshape(-1),
                env_state.touch,
            ]
        )
        if self.blind:
            return proprioception
        heights = self.tracks.profile(env_state.track, pose.root[0] + jnp.asarray(SEEN))[0]
        heights = jnp.maximum(heights, _DEEPEST)  # or gaps would dwarf all else
        return jnp.concatenate([proprioception, heights - pose.root[1]])

    def limbs(self, states: TrackState) -> Limbs:
        """Torso, leg and other leg in states `[T, ...]`, to be drawn."""
        return Limbs(
            np.asarray(_skeletons(self.body, states.pose)),
            np.array([0.056, 0.03, 0.03]),
            np.array([0, 1, -1]),
        )


@functools.partial(jax.jit, static_argnums=0)
@functools.partial(jax.vmap, in_axes=(None, 0))
def _skeletons(body: PlanarBody, pose: Any) -> jax.Array:
    """Places along torso, leg and other leg, `[T, 3, 6, 2]`."""
    (hip, knee, ankle), (heel, toe) = body.hinges(pose), body.points(pose)[-2:]
    legs = jnp.stack([hip, knee, ankle, heel, toe, ankle], axis=1)
    up = pose.root[:2] - hip[0]
    torso = jnp.stack([pose.root[:2] + up, *[hip[0]] * 5])
    return jnp.concatenate([torso[None], legs])
