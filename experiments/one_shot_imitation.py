"""One-Shot Imitation Learning (Duan, Andrychowicz, Stadie, Ho, Schneider, Sutskever, Abbeel,
Zaremba, 2017), arXiv:1703.07326.

Claim: a policy that attends over one demonstration does what it was shown where it has never been.

The particle task has the paper's three policies (an LSTM, one that points at a landmark, one that
sees the final state alone), that of block stacking, and one without a demonstration. Block stacking
has demonstration, context and manipulation network, on the whole demonstration, its final state or
none. Departures: blocks are stacked in the plane, without physics but falling and tipping over;
layers of the demonstration and context network add to what they were given. Where things are is
given; how to find that in images is `domain_randomization`.
"""

from __future__ import annotations

import research.early  # answers --help at once

import functools
from pathlib import Path
from typing import Any

import flax.linen as nn
import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
import optax
from ml_collections import ConfigDict

from research import app, training
from research.core import Aux, Experiment, Learner, LearnerState, UserError
from research.core.errors import check_choice
from research.papers.one_shot_imitation import policies, reaching_film, stacking_film
from research.papers.one_shot_imitation.block_stacking import SIDE, BlockStacking, named
from research.papers.one_shot_imitation.imitation import (
    SEEN,
    DaggerBuffer,
    Imitator,
    sample_pairs,
)
from research.papers.one_shot_imitation.particle_reaching import Landmark, ParticleReaching
from research.papers.one_shot_imitation.scenes import Demonstration
from research.papers.one_shot_imitation.task_families import (
    TaskDemonstrations,
    TaskFamily,
    play,
    teach,
)
from research.report.claims import Claim, Paper, Results
from research.report.demo import Demo, Film, Number, Text
from research.rl.demonstrations import Demonstrations
from research.viz.films import save_gif

PAPER = Paper(
    title="One-Shot Imitation Learning",
    authors="Duan et al.",
    year=2017,
    arxiv="1703.07326",
    field="reinforcement learning",
    claim="Attention over a single demonstration generalises to unseen tasks.",
    curves=("unseen/success", "trained/success", "loss"),
)

LEARNED = 0.9  # success on tasks of training of who has learned them
# Rivals that are to learn these before their generalisation says anything.
LEARNERS = ("lstm_attention", "final_state", "stacking_final_state")
NAMES = {"particle": "attention", "stacking": "stacking"}  # of the attention policy's arm
TESTS = {
    "particle": {"unseen": "new arrangements", "more": "more landmarks than ever in training"},
    "stacking": {"unseen": "towers of other heights"},
}
# By how much others are worse where nobody was trained (0: cannot be missed, not judged). The
# particle's LSTMs take 20 times its steps; stacking's margins are guesses.
RIVALS = {
    "particle": {"lstm_attention": 0.2, "lstm": 0, "final_state": 0.2, "no_demonstration": 0},
    "stacking": {"stacking_final_state": 0.1, "stacking_no_demonstration": 0.3},
}


class State(flax.struct.PyTreeNode):
    """What is trained, and on what.

    Attributes:
      policy: learns from demonstrations.
      demonstrations: by the expert.
      visited: episodes of the policy, of DAgger; None for behavioural cloning.
    """

    policy: LearnerState
    demonstrations: TaskDemonstrations
    visited: DaggerBuffer | None


class OneShotImitation(Experiment):
    """Behavioural cloning, or DAgger, of a policy that is given one demonstration (section 3)."""

    def __init__(self, config: ConfigDict):
        check_values(config)
        self.config = config
        env = config.env
        self.family = make_family(env, env.numbers, env.shapes)
        self.unseen = unseen_tasks(env)
        rate = optax.cosine_decay_schedule(config.learning_rate, config.num_steps, config.rate_end)
        self.learner = Learner(
            make_policy(config, self.family.action_size),
            optax.adamax(rate),
            max_grad_norm=config.max_grad_norm,
        )
        shown = config.demonstrations
        self.imitator = Imitator(self.learner, self.family, shown.seen, shown.dropout)
        self._success = {
            "trained": jax.jit(self.trained_success),
            **{
                name: jax.jit(functools.partial(self.unseen_success, tasks))
                for name, tasks in self.unseen.items()
            },
        }
        self.num_steps = config.num_steps

    def init(self, key: jax.Array) -> State:
        teach_key, net_key = jax.random.split(key)
        shown = self.config.demonstrations
        demonstrations = teach(self.family, teach_key, shown.tasks, shown.per_task, shown.noise)
        return self.first_state(net_key, demonstrations)

    def first_state(self, key: jax.Array, demonstrations: TaskDemonstrations) -> State:
        """An untrained policy, which will learn from these demonstrations."""
        one = jax.tree.map(lambda x: x[:1, 0], demonstrations.steps)
        scene = self.family.scene(one.observation[:, :1])
        policy = self.learner.init(key, self.imitator.shown(one, key), scene)
        capacity = self.config.dagger.episodes
        visited = DaggerBuffer.empty(demonstrations, capacity) if capacity else None
        return State(policy, demonstrations, visited)

    def imitation_error(
        self, action: jax.Array, expert: jax.Array, present: jax.Array
    ) -> jax.Array:
        """Squared error of moves, cross entropy of switches (section 3.3).

        Args:
          action, expert: `[N, Q, A]`, the policy's and the expert's.
          present: `[N, Q]` bool, states that count.
        """
        moves = self.family.action_size - self.family.num_switches
        error = ((action - expert)[..., :moves] ** 2).sum(axis=-1)
        on = (expert[..., moves:] > 0).astype(jnp.float32)
        error += optax.sigmoid_binary_cross_entropy(action[..., moves:], on).sum(axis=-1)
        return (error * present).sum() / jnp.maximum(present.sum(), 1)

    def loss(
        self, variables: Any, batch: tuple[Demonstration, Demonstrations], key: jax.Array
    ) -> tuple[jax.Array, Aux]:
        """pi(a | o, d): the expert's action a in states o, after demonstrations d of their task."""
        demonstration, states = batch
        scene = self.family.scene(states.observation)
        action, _ = self.learner.apply(variables, demonstration, scene)
        return self.imitation_error(action, states.action, states.present), Aux()

    def step(
        self, state: State, batch: None, t: jax.Array, key: jax.Array
    ) -> tuple[State, dict[str, jax.Array]]:
        """One update, and in DAgger now and then episodes of the policy before it."""
        config = self.config
        play_key, draw_key, drop_key, loss_key = jax.random.split(key, 4)
        if state.visited is not None:
            # A policy that can do nothing yet gets into no states that are worth learning from.
            now = (t >= config.dagger.after_steps) & (t % config.dagger.every_steps == 0)
            state = jax.lax.cond(now, self.explore, lambda state, key: state, state, play_key)
        shown, states = sample_pairs(
            state.demonstrations,
            state.visited,
            draw_key,
            num=config.tasks_per_batch,
            states_per_task=config.states_per_task,
        )
        pairs = self.imitator.shown(shown, drop_key), states
        policy, metrics = self.learner.minimize(state.policy, self.loss, pairs, loss_key)
        return state.replace(policy=policy), metrics

    def explore(self, state: State, key: jax.Array) -> State:
        """DAgger: the policy plays, and the expert says what was to be done."""
        assert state.visited is not None
        num = self.config.tasks_per_batch
        demonstrations = state.demonstrations
        task_key, pair_key, drop_key, play_key = jax.random.split(key, 4)
        tasks, per_task = demonstrations.success.shape
        task = jax.random.randint(task_key, (num,), 0, tasks)
        first = jax.random.randint(pair_key, (num,), 0, per_task)
        other = (first + 1) % per_task
        begin = jax.tree.map(lambda x: x[task, other], demonstrations.start)
        shown = jax.tree.map(lambda x: x[task, first], demonstrations.steps)
        act = self.imitator.actor(state.policy, shown, 1, drop_key)
        expert = jax.vmap(self.family.expert)
        # The policy's action is done, the expert's is noted.
        steps, _ = play(
            self.family,
            begin,
            lambda observation, env_state, key: (act(observation), expert(env_state)),
            play_key,
        )
        return state.replace(visited=state.visited.add(steps, task, other))

    def trained_success(
        self, policy: LearnerState, demonstrations: TaskDemonstrations, key: jax.Array
    ) -> dict[str, jax.Array]:
        """Where training's second demonstrations began, after its first ones."""
        rows = jnp.arange(self.config.eval.episodes) % self.config.demonstrations.tasks
        shown = jax.tree.map(lambda x: x[rows, 0], demonstrations.steps)
        start = jax.tree.map(lambda x: x[rows, 1], demonstrations.start)
        variables = self.learner.eval_variables(policy)
        ensemble = self.config.eval.ensemble
        _, success = self.imitator.imitate(variables, shown, start, ensemble, key)
        return {"success": success.mean(), "expert": demonstrations.success.mean()}

    def unseen_success(
        self, tasks: TaskFamily, policy: LearnerState, key: jax.Array
    ) -> dict[str, jax.Array]:
        """New demonstrations of new tasks, and other instances of them."""
        teach_key, key = jax.random.split(key)
        sizes = self.config.eval
        new = teach(tasks, teach_key, sizes.episodes, 2, self.config.demonstrations.noise)
        shown = jax.tree.map(lambda x: x[:, 0], new.steps)
        start = jax.tree.map(lambda x: x[:, 1], new.start)
        variables = self.learner.eval_variables(policy)
        _, success = self.imitator.imitate(variables, shown, start, sizes.ensemble, key, tasks)
        return {"success": success.mean()}

    def evaluate(self, state: State, key: jax.Array) -> dict[str, jax.Array]:
        """Success rates on tasks of training and on unseen ones; each process finds them alone."""
        policy, demonstrations = jax.device_get((state.policy, state.demonstrations))
        numbers = {"trained": self._success["trained"](policy, demonstrations, key)}
        numbers |= {name: self._success[name](policy, key) for name in self.unseen}
        return {f"{test}/{name}": x for test, found in numbers.items() for name, x in found.items()}

    def unseen_example(self, policy: LearnerState, key: jax.Array) -> Any:
        """Demonstration, imitation, whether it succeeded, and the task: one that is unseen."""
        tasks = self.unseen["unseen"]
        new = teach(tasks, key, 1, 2, self.config.demonstrations.noise)
        shown = jax.tree.map(lambda x: x[:, 0], new.steps)
        start = jax.tree.map(lambda x: x[:, 1], new.start)
        variables, ensemble = self.learner.eval_variables(policy), self.config.eval.ensemble
        done, success = self.imitator.imitate(variables, shown, start, ensemble, key, tasks)
        task = jax.tree.map(lambda x: x[0, 0], new.start[1].task)
        return shown, done, success[0], task


def check_values(config: ConfigDict) -> None:
    """Refuses values that do not go together.

    Raises:
      UserError: they are refused.
    """
    check_choice("model.variant", config.model.variant, policies.VARIANTS)
    check_choice("demonstrations.seen", config.demonstrations.seen, SEEN)
    check_choice("env.name", config.env.name, ("particle", "stacking"))
    if config.demonstrations.per_task < 2:
        raise UserError("demonstrations.per_task is 2 at least: one shown, one to be done")
    if 0 < config.dagger.episodes < config.tasks_per_batch:
        raise UserError("dagger.episodes is 0, or no less than tasks_per_batch")


def make_family(env: ConfigDict, numbers: Any, shapes: Any) -> TaskFamily:
    """Tasks with as many landmarks as one of `numbers`, or with towers of one of `shapes`."""
    if env.name == "particle":
        return ParticleReaching(env.max_things, tuple(numbers))
    return BlockStacking(env.max_things, tuple(map(tuple, shapes)), env.horizon, env.speed)


def unseen_tasks(env: ConfigDict) -> dict[str, TaskFamily]:
    """Task families that nobody trains on, by name.

    A particle meets arrangements drawn anew, and more landmarks than ever in training; blocks are
    stacked to towers of other heights.
    """
    if env.name == "stacking":
        return {"unseen": make_family(env, env.numbers, env.unseen_shapes)}
    return {
        "unseen": make_family(env, env.numbers, env.shapes),
        "more": make_family(env, env.unseen_numbers, env.shapes),
    }


def make_policy(config: ConfigDict, action_size: int) -> nn.Module:
    model = config.model
    common = {"hidden": tuple(model.hidden), "dtype": jnp.dtype(config.compute_dtype)}
    if model.variant == "attention":
        return policies.AttentionPolicy(
            outputs=action_size,
            features=model.features,
            dilations=tuple(model.dilations),
            heads=model.heads,
            size=model.score_size,
            hops=model.hops,
            pointers=model.pointers,
            **common,
        )
    return policies.RecurrentPolicy(
        outputs=action_size,
        features=model.lstm_features,
        attention=model.variant == "lstm_attention",
        **common,
    )


def main(experiment: OneShotImitation, config: ConfigDict, workdir: Path) -> dict[str, float]:
    state, numbers = training.run(experiment, config, workdir)
    if config.env.name == "stacking" and jax.process_index() == 0:
        film(experiment, jax.device_get(state.policy), workdir / "unseen.gif")
    return numbers


def film(experiment: OneShotImitation, policy: LearnerState, path: Path) -> None:
    """Draws an unseen task as it was shown, and as the policy did it elsewhere."""
    key = jax.random.key(experiment.config.seed)
    example = jax.jit(experiment.unseen_example)(policy, key)
    fps = stacking_film.FPS
    save_gif(path, film_frames(example), fps, colours=32, last_seconds=2.0)


def film_frames(example: Any) -> np.ndarray:
    """Frames of what `OneShotImitation.unseen_example` gave, the demonstration on the left."""
    *both, success, task = example
    episodes = [np.asarray(x.observation[0])[np.asarray(x.present[0])] for x in both]
    if isinstance(task, Landmark):
        return reaching_film.film_frames(episodes, int(task.target))
    end = "done" if bool(success) else "failed"
    captions = f"demonstration of {named(task)}", f"imitation: {end}"
    return stacking_film.film_frames(episodes, captions, SIDE)


def demo(experiment: OneShotImitation, state: State) -> Demo:
    policy = jax.device_get(state.policy)
    imitate = jax.jit(experiment.unseen_example)

    def run(task: int) -> dict[str, Any]:
        example = imitate(policy, jax.random.key(task))
        done = "the imitation does what was shown" if bool(example[2]) else "the imitation fails"
        return {"film": film_frames(example), "done": done}

    return Demo(
        title="Show it once",
        says="On the left an expert shows a task that the policy has never seen; on the right the "
        "policy does it from another beginning. Nothing else tells it what to do.",
        inputs={"task": Number("which task: another number, another task", 0, 0, 9999)},
        outputs={"film": Film("shown, and done", stacking_film.FPS), "done": Text("how it ended")},
        run=run,
        examples=[{"task": 1}, {"task": 2}],
    )


def claims(results: Results) -> list[Claim]:
    """Judges each task that has been run: its attention policy, then the others against it."""
    return [
        claim
        for task, ours in NAMES.items()
        if ours in results.arms
        for claim in task_claims(results, task)
    ]


def task_claims(results: Results, task: str) -> list[Claim]:
    ours, tests = NAMES[task], TESTS[task]
    trained, unseen = results["trained/success"], results["unseen/success"]
    rows = [
        trained.at_least(
            ours,
            LEARNED,
            claim=f"{ours}: success on tasks of training",
            paper="close to each other",
        )
    ]
    rows += [
        results[f"{test}/success"].at_least(
            ours, 0.7, claim=f"{ours}: success on {words}", paper="close to each other"
        )
        for test, words in tests.items()
    ]
    rivals = {arm: margin for arm, margin in RIVALS[task].items() if arm in results.arms}
    rows += [
        unseen.above(
            ours,
            arm,
            by=margin,
            claim=f"{arm}: success on {tests['unseen']} is lower",
            paper="",
            judged=bool(margin > 0 and (arm not in LEARNERS or trained[arm].min() >= LEARNED)),
        )
        for arm, margin in rivals.items()
    ]
    if "lstm_attention" in rivals:
        claim = "lstm_attention: generalisation is what it lacks; success on tasks of training"
        rows.append(trained.at_least("lstm_attention", LEARNED, claim=claim, paper=""))
    return rows


if __name__ == "__main__":
    app.run()
