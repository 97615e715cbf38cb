"""One-shot imitation (Duan et al., 2017, arXiv:1703.07326): from a demonstration of a task and a
state of another instance of it, the action of one who knows the task.

Trained by behavioural cloning on pairs of demonstrations of a task, or by DAgger, which adds states
that the policy itself got into, and what the expert would have done there.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import optax

from research.core import Aux, Learner, LearnerState
from research.papers.one_shot_imitation import scenes
from research.papers.one_shot_imitation.scenes import Demonstration
from research.papers.one_shot_imitation.task_families import Start, TaskFamily, Taught, play
from research.rl.demonstrations import Demonstrations

SEEN: dict[str, Callable[[Demonstration], Demonstration]] = {
    "all": lambda demonstration: demonstration,
    "last": scenes.last_frame,
    "none": scenes.nothing,
}


@flax.struct.dataclass
class Visited:
    """The newest C episodes of the policy, with the expert's actions. Attributes: steps, leaves
    `[C, T, ...]`; task `[C]`, an index of those taught; start `[C]`, which of the task's
    demonstrations they began like; count, episodes so far."""

    steps: Demonstrations
    task: jax.Array
    start: jax.Array
    count: jax.Array


@flax.struct.dataclass
class Imitator:
    """Attributes: policy; taught; visited, of DAgger; steps, of training so far."""

    policy: LearnerState
    taught: Taught
    visited: Visited | None
    steps: jax.Array


@dataclasses.dataclass(frozen=True)
class OneShotCloning:
    """Attributes:
    learner: of a model of `models.one_shot_imitation`.
    family: of the tasks.
    seen: of a demonstration: "all", its "last" frame, or "none".
    dropout: p of temporal dropout.
    tasks_per_batch: demonstrations in a batch.
    states_per_task: of each, from one other demonstration of the task.
    visited_episodes: C of DAgger; 0: behavioural cloning.
    every_steps: the policy plays one episode for each demonstration of a batch as often.
    after_steps: of cloning, before it plays: where it can do nothing yet nothing is learned.
    """

    learner: Learner
    family: TaskFamily
    seen: str
    dropout: float
    tasks_per_batch: int
    states_per_task: int
    visited_episodes: int
    every_steps: int
    after_steps: int

    def shown(self, steps: Demonstrations, key: jax.Array | None) -> Demonstration:
        """N demonstrations as the policy sees them: with temporal dropout if there is a key."""
        whole = Demonstration(self.family.scene(steps.observation), steps.present)
        if self.seen == "all" and key is not None:
            return scenes.temporal_dropout(key, whole, self.dropout)
        return SEEN[self.seen](whole)

    def init(self, key: jax.Array, taught: Taught) -> Imitator:
        one = jax.tree.map(lambda x: x[:1, 0], taught.steps)
        policy = self.learner.init(
            key, self.shown(one, key), self.family.scene(one.observation[:, :1])
        )
        visited, rows = None, self.visited_episodes
        if rows:
            blank = jax.tree.map(lambda x: jnp.zeros((rows, *x.shape[2:]), x.dtype), taught.steps)
            task, start = jnp.zeros((2, rows), jnp.int32)
            visited = Visited(blank, task, start, jnp.int32(0))
        return Imitator(policy, taught, visited, jnp.int32(0))

    def loss(self, action: jax.Array, expert: jax.Array, weight: jax.Array) -> jax.Array:
        """Squared error of moves, cross entropy of switches (section 3.3); `weight [...]`."""
        moves = self.family.action_size - self.family.num_switches
        error = ((action - expert)[..., :moves] ** 2).sum(axis=-1)
        target = (expert[..., moves:] > 0).astype(jnp.float32)
        error += optax.sigmoid_binary_cross_entropy(action[..., moves:], target).sum(axis=-1)
        return (error * weight).sum() / jnp.maximum(weight.sum(), 1)

    def step(self, state: Imitator, key: jax.Array) -> tuple[Imitator, dict[str, jax.Array]]:
        """One update, and in DAgger now and then episodes before it."""
        play_key, draw_key, drop_key, loss_key = jax.random.split(key, 4)
        if state.visited is not None:
            now = (state.steps >= self.after_steps) & (state.steps % self.every_steps == 0)
            state = jax.lax.cond(now, self.explore, lambda state, key: state, state, play_key)
        shown, states = self._batch(state, draw_key)
        batch = self.shown(shown, drop_key), states

        def loss_fn(variables: Any, batch: Any, key: jax.Array) -> tuple[jax.Array, Aux]:
            demonstration, states = batch
            scene = self.family.scene(states.observation)
            action, _ = self.learner.apply(variables, demonstration, scene)
            return self.loss(action, states.action, states.present), Aux()

        policy, metrics = self.learner.minimize(state.policy, loss_fn, batch, loss_key)
        return dataclasses.replace(state, policy=policy, steps=state.steps + 1), metrics

    def _batch(self, state: Imitator, key: jax.Array) -> tuple[Demonstrations, Demonstrations]:
        """Demonstrations, leaves `[N, T, ...]`, and states of others `[N, Q, ...]`."""
        taught, num = state.taught.steps, self.tasks_per_batch
        task_key, pair_key, state_key, visited_key = jax.random.split(key, 4)
        tasks, per_task, _ = taught.present.shape
        task = jax.random.randint(task_key, (num,), 0, tasks)
        first, other = jax.random.randint(pair_key, (2, num), 0, per_task)
        other = jnp.where(other == first, (other + 1) % per_task, other)
        episodes = jax.tree.map(lambda x: x[task, other], taught)
        if state.visited is not None:  # every episode that there is is as likely
            kept = jnp.minimum(state.visited.count, self.visited_episodes)
            own_key, row_key = jax.random.split(visited_key)
            row = jax.random.randint(row_key, (num,), 0, jnp.maximum(kept, 1))
            own = jax.random.uniform(own_key, (num,)) < kept / (kept + tasks * per_task)
            task = jnp.where(own, state.visited.task[row], task)
            same = own & (state.visited.start[row] == first)
            first = jnp.where(same, (first + 1) % per_task, first)

            def choose(a: jax.Array, b: jax.Array) -> jax.Array:
                return jnp.where(own.reshape(-1, *[1] * (b.ndim - 1)), a[row], b)

            episodes = jax.tree.map(choose, state.visited.steps, episodes)
        shown = jax.tree.map(lambda x: x[task, first], taught)
        at = jax.random.uniform(state_key, (num, self.states_per_task))
        at = (at * episodes.present.sum(axis=1, keepdims=True)).astype(jnp.int32)
        states = jax.tree.map(lambda x: x[jnp.arange(num)[:, None], at], episodes)
        return shown, states

    def explore(self, state: Imitator, key: jax.Array) -> Imitator:
        """The policy plays; the expert says what was to be done (DAgger)."""
        assert state.visited is not None
        num = self.tasks_per_batch
        task_key, pair_key, drop_key, play_key = jax.random.split(key, 4)
        tasks, per_task = state.taught.success.shape
        task = jax.random.randint(task_key, (num,), 0, tasks)
        first = jax.random.randint(pair_key, (num,), 0, per_task)
        other = (first + 1) % per_task
        begin = jax.tree.map(lambda x: x[task, other], state.taught.start)
        shown = jax.tree.map(lambda x: x[task, first], state.taught.steps)
        act = self.actor(state.policy, shown, 1, drop_key)
        expert = jax.vmap(self.family.expert)
        steps, _ = play(self.family, begin, lambda seen, at, key: (act(seen), expert(at)), play_key)
        rows = (state.visited.count + jnp.arange(num)) % self.visited_episodes
        return dataclasses.replace(
            state,
            visited=Visited(
                jax.tree.map(lambda x, new: x.at[rows].set(new), state.visited.steps, steps),
                state.visited.task.at[rows].set(task),
                state.visited.start.at[rows].set(other),
                state.visited.count + num,
            ),
        )

    def actor(
        self, variables: Any, steps: Demonstrations, ensemble: int, key: jax.Array
    ) -> Callable[[jax.Array], jax.Array]:
        """Observations `[N, D]` to actions `[N, A]`, after N demonstrations.

        Args:
          ensemble: the mean over so many draws of temporal dropout, with which the policy was
            trained (section 4.1); 0: the demonstrations are whole.
        """

        def embed(key: jax.Array | None) -> Any:
            return self.learner.apply(variables, self.shown(steps, key), method="embed")

        if ensemble and self.seen == "all" and self.dropout:
            embedded = jax.vmap(embed)(jax.random.split(key, ensemble))
        else:
            embedded = jax.tree.map(lambda x: x[None], embed(None))

        def act(observation: jax.Array) -> jax.Array:
            scene = jax.tree.map(lambda x: x[:, None], self.family.scene(observation))
            actions = jax.vmap(
                lambda e: self.learner.apply(variables, e, scene, method="act")[0][:, 0]
            )(embedded)
            return actions.mean(axis=0)

        return act

    def success(
        self,
        variables: Any,
        steps: Demonstrations,
        start: Start,
        ensemble: int,
        key: jax.Array,
        family: TaskFamily | None = None,
    ) -> tuple[Demonstrations, jax.Array]:
        """Episodes of the policy from N first states after N demonstrations, and `[N]` bool,
        whether it did as shown."""
        drop_key, play_key = jax.random.split(key)
        act = self.actor(variables, steps, ensemble, drop_key)

        def twice(observation: jax.Array, env_state: Any, key: jax.Array) -> Any:
            action = act(observation)
            return action, action

        return play(family or self.family, start, twice, play_key)
