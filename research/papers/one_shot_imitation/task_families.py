"""Families of tasks with an expert: what an imitator learns from (Duan et al., 2017,
arXiv:1703.07326, section 3).

A family is a `SingleEnvironment` whose observation does not say which task is to be done. A task
has many instances, that is first states. Who is to do it in one instance is shown a demonstration
of it in another.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp

from research.papers.one_shot_imitation.scenes import Scene
from research.rl.demonstrations import Demonstrations
from research.rl.envs.environments import EnvState, SingleEnvironment, Step

Start = tuple[jax.Array, EnvState]  # what `reset` returns, or many of these


class TaskFamily(SingleEnvironment, Protocol):
    """One copy; see the module's docstring.

    Attributes:
      horizon: T, the largest number of steps of an episode.
      num_switches: how many of an action's numbers, the last ones, matter by their sign alone.
    """

    @property
    def horizon(self) -> int: ...

    @property
    def num_switches(self) -> int: ...

    def sample_task(self, key: jax.Array) -> Any:
        """A task, as arrays."""
        ...

    def reset_to(self, key: jax.Array, task: Any) -> Start:
        """A first state of this task."""
        ...

    def transition(
        self, env_state: EnvState, action: jax.Array
    ) -> tuple[jax.Array, EnvState, jax.Array]:
        """What an action `[A]` leads to: observation, state, and whether the task is done now."""
        ...

    def scene(self, observation: jax.Array) -> Scene:
        """What observations `[..., D]` show."""
        ...

    def expert(self, env_state: EnvState) -> jax.Array:
        """The action `[A]` of one who knows the task."""
        ...


class TaskDemonstrations(NamedTuple):
    """I demonstrations of each of M tasks.

    Attributes:
      start: first states, leaves `[M, I, ...]`.
      steps: leaves `[M, I, T, ...]`.
      success: `[M, I]` bool, whether the expert did the task.
    """

    start: Start
    steps: Demonstrations
    success: jax.Array


def step(family: TaskFamily, key: jax.Array, env_state: Any, action: jax.Array) -> Step:
    """`SingleEnvironment.step` of a family: doing the task ends the episode, and pays 1."""
    observation, env_state, done = family.transition(env_state, action)
    truncated = (env_state.time == family.horizon) & ~done
    fresh = family.reset(key)
    following, env_state = jax.tree.map(
        lambda a, b: jnp.where(done | truncated, a, b), fresh, (observation, env_state)
    )
    info = {"final_observation": observation, "life_lost": jnp.zeros((), bool)}
    return following, env_state, done.astype(jnp.float32), done, truncated, info


def observe(robot: jax.Array, present: jax.Array, places: jax.Array) -> jax.Array:
    """Robot `[R]`, then of each of B things its presence and place: `[R + B (1 + P)]`."""
    things = jnp.concatenate([present[:, None], places], axis=1)
    return jnp.concatenate([robot, jnp.where(present[:, None], things, 0).ravel()])


def scene_of(observation: jax.Array, robot_size: int) -> Scene:
    """What was observed `[..., R + 3 B]`, with places in the plane as seen from the robot, whose
    own is the first two of its numbers."""
    robot = observation[..., :robot_size]
    things = observation[..., robot_size:].reshape(*observation.shape[:-1], -1, 3)
    present = things[..., 0] > 0
    away = things[..., 1:] - robot[..., None, :2]
    return Scene(robot, jnp.where(present[..., None], away, 0), present)


def play(
    family: TaskFamily, start: Start, act: Callable[[Any, Any, jax.Array], Any], key: jax.Array
) -> tuple[Demonstrations, jax.Array]:
    """One episode from each of N states.

    Args:
      start: leaves `[N, ...]`.
      act: `(observation [N, D], env_state, key) -> (action [N, A] that is done, the one noted)`.

    Returns:
      Steps, leaves `[N, T, ...]`, of which those after an episode's end are not present; and
      `[N]` bool, whether the task was done.
    """

    def body(carry: Any, key: jax.Array) -> tuple[Any, Any]:
        observation, env_state, going = carry
        action, noted = act(observation, env_state, key)
        following, env_state, done = jax.vmap(family.transition)(env_state, action)
        return (following, env_state, going & ~done), (observation, noted, going, going & done)

    keys = jax.random.split(key, family.horizon)
    _, steps = jax.lax.scan(body, (*start, jnp.ones(len(start[0]), bool)), keys)
    observation, action, going, done = (jnp.swapaxes(x, 0, 1) for x in steps)
    return Demonstrations(observation, action, going), done.any(axis=1)


def noisy(family: TaskFamily, action: jax.Array, noise: float, key: jax.Array) -> jax.Array:
    """Actions `[..., A]` with normal noise of that deviation on all but the switches."""
    moves = family.action_size - family.num_switches
    size = (*action.shape[:-1], moves)
    return action.at[..., :moves].add(noise * jax.random.normal(key, size))


def teach(
    family: TaskFamily, key: jax.Array, tasks: int, per_task: int, noise: float
) -> TaskDemonstrations:
    """Demonstrations by the expert, whose hand is not steady.

    Noise is added to what is done, and not to what is noted (appendix on particle reaching).

    Args:
      family: of the tasks.
      key: of tasks, first states and noise.
      tasks: M.
      per_task: I.
      noise: standard deviation of what is added to moves, which lie in +-1.
    """
    task_key, start_key, play_key = jax.random.split(key, 3)
    drawn = jax.vmap(family.sample_task)(jax.random.split(task_key, tasks))
    drawn = jax.tree.map(lambda x: jnp.repeat(x, per_task, axis=0), drawn)
    start = jax.vmap(family.reset_to)(jax.random.split(start_key, tasks * per_task), drawn)

    def act(observation: jax.Array, env_state: Any, key: jax.Array) -> Any:
        action = jax.vmap(family.expert)(env_state)
        return noisy(family, action, noise, key), action

    steps, success = play(family, start, act, play_key)
    return jax.tree.map(
        lambda x: x.reshape(tasks, per_task, *x.shape[1:]),
        TaskDemonstrations(start, steps, success),
    )
