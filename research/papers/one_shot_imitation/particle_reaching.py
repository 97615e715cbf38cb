"""Particle reaching (Duan et al., 2017, arXiv:1703.07326): a point is to go to one of several
landmarks in the plane. Which one is the task: landmarks are told apart by their place in the
observation; where they lie is drawn afresh in every instance.

The square is [-1, 1]^2; a step moves the point by up to `REACH` along each axis. An episode has 24
steps, more than any way takes; the task is done if the point is at its landmark after the last one.
"""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import flax.struct
import jax
import jax.numpy as jnp

from research.papers.one_shot_imitation import task_families
from research.papers.one_shot_imitation.scenes import Scene
from research.papers.one_shot_imitation.task_families import observe, scene_of
from research.rl.envs.environments import Step

REACH = 0.1


class Landmark(NamedTuple):
    """A task. Attributes: target, int32; present `[L]` bool, the landmarks that there are."""

    target: jax.Array
    present: jax.Array


@flax.struct.dataclass
class ParticleState:
    task: Landmark
    robot: jax.Array
    landmarks: jax.Array
    time: jax.Array


@dataclasses.dataclass(frozen=True)
class ParticleReaching:
    """Observation `[2 + 3 L]`: the robot; of each landmark 1 if it is there, and where. A
    `task_families.TaskFamily`.

    Attributes:
      max_landmarks: L.
      numbers: of landmarks present; each as likely. Which they are is drawn as well.
      tolerance: distance at which the robot is at a landmark.
    """

    max_landmarks: int
    numbers: tuple[int, ...]
    tolerance: float = 0.1

    num_actions, action_size, num_switches, horizon = 0, 2, 0, 24

    @property
    def observation_space(self) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct((2 + 3 * self.max_landmarks,), jnp.float32)

    def sample_task(self, key: jax.Array) -> Landmark:
        number_key, order_key = jax.random.split(key)
        number = jax.random.choice(number_key, jnp.array(self.numbers))
        order = jnp.argsort(jax.random.uniform(order_key, (self.max_landmarks,)))
        return Landmark(order[0].astype(jnp.int32), jnp.argsort(order) < number)

    def reset_to(self, key: jax.Array, task: Landmark) -> tuple[jax.Array, ParticleState]:
        places = jax.random.uniform(key, (self.max_landmarks + 1, 2), minval=-1)
        landmarks = jnp.where(task.present[:, None], places[1:], 0)
        state = ParticleState(task, places[0], landmarks, jnp.int32(0))
        return _observation(state), state

    def reset(self, key: jax.Array) -> tuple[jax.Array, ParticleState]:
        task_key, key = jax.random.split(key)
        return self.reset_to(key, self.sample_task(task_key))

    def step(self, key: jax.Array, env_state: ParticleState, action: jax.Array) -> Step:
        return task_families.step(self, key, env_state, action)

    def transition(
        self, env_state: ParticleState, action: jax.Array
    ) -> tuple[jax.Array, ParticleState, jax.Array]:
        robot = jnp.clip(env_state.robot + REACH * jnp.clip(action, -1, 1), -1, 1)
        env_state = dataclasses.replace(env_state, robot=robot, time=env_state.time + 1)
        away = jnp.linalg.norm(robot - env_state.landmarks[env_state.task.target])
        done = (env_state.time == self.horizon) & (away <= self.tolerance)
        return _observation(env_state), env_state, done

    def scene(self, observation: jax.Array) -> Scene:
        return scene_of(observation, 2)

    def expert(self, env_state: ParticleState) -> jax.Array:
        way = env_state.landmarks[env_state.task.target] - env_state.robot
        return jnp.clip(way / REACH, -1, 1)


def _observation(state: ParticleState) -> jax.Array:
    return observe(state.robot, state.task.present, state.landmarks)
