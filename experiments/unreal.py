"""Reinforcement Learning with Unsupervised Auxiliary Tasks (Jaderberg, Mnih, Czarnecki, Schaul,
Leibo, Silver, Kavukcuoglu, 2016), arXiv:1611.05397: UNREAL.

Claim: auxiliary tasks that share the agent's network make it learn from fewer frames.

The base agent is A3C with an LSTM, its actors stepping together and one update learning from all of
them (as in `a2c`). Departures: one draw of replayed sequences, as many as actors, serves both pixel
control and value replay; they begin with the LSTM's state as it was stored when they were played;
all losses are means over steps; what a truncated step led to is not kept, so the step is left out
and returns end before it. Labyrinth is not public: a pixel maze and Atari stand in for it. Atari's
emulators run inside the step, which the CPU platform alone can do, in grey, with single frames.
"""

from __future__ import annotations

import research.early  # answers --help at once

import functools
from typing import Any, NamedTuple

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import PartitionSpec
from ml_collections import ConfigDict

from research import app
from research.core import Aux, Experiment, Learner, LearnerState, UserError
from research.core.errors import check_choice
from research.papers.unreal.auxiliary import (
    control_loss,
    n_step_returns,
    pixel_change,
    reward_class,
    weighted_mean,
)
from research.papers.unreal.network import SIZES, Outputs, UnrealNetwork
from research.papers.unreal.return_curve import ReturnCurve
from research.report.claims import Claim, Paper, Results, Scores, spread
from research.report.demo import Demo
from research.report.game_demo import play_demo
from research.rl.acting.actor import Actors
from research.rl.acting.distributions import distribution
from research.rl.acting.episodes import Evaluation
from research.rl.acting.recurrent_rollouts import (
    RecurrentEnvironment,
    RecurrentObservation,
    RecurrentTrajectory,
    append_next,
    collect_recurrent,
)
from research.rl.envs import games
from research.rl.envs.environments import Environment
from research.rl.replay.sequences import Sequences
from research.rl.replay.transitions import RingState

PAPER = Paper(
    title="Reinforcement Learning with Unsupervised Auxiliary Tasks",
    authors="Jaderberg et al.",
    year=2016,
    arxiv="1611.05397",
    field="reinforcement learning",
    claim="Auxiliary tasks that share the network make the agent learn from fewer frames.",
    curves=("train/return",),
    x="frames",
    method="full",
)
BINS = 10  # of the learning curve that claims compare
SINGLE_TASKS = ("pixel_control", "feature_control", "reward_prediction", "value_replay")


class State(flax.struct.PyTreeNode):
    """What a run carries from step to step.

    Attributes:
      learner: the network and its optimizer.
      actors: what goes on from one rollout to the next.
      replay: the newest steps of every actor; None where no task takes any.
      curve: mean returns over parts of the run so far.
    """

    learner: LearnerState
    actors: Actors
    replay: RingState | None
    curve: ReturnCurve


class LossInputs(NamedTuple):
    """What one update learns from.

    Attributes:
      steps: just played, `[T, N, ...]`.
      observations: acted on in them and acted on next, `[T + 1, N, ...]`.
      replayed: `[T + 1, N, ...]`, of whose last step only what it acted on counts; or None.
      ready: whether the replay holds as many steps yet.
      histories: frames, the reward that followed, and weights, as from `Sequences.histories`; or
        None.
    """

    steps: RecurrentTrajectory
    observations: RecurrentObservation
    replayed: RecurrentTrajectory | None
    ready: Any
    histories: Any


class UNREAL(Experiment):
    """A3C with an LSTM, and auxiliary tasks that share its network (figure 1)."""

    def __init__(self, config: ConfigDict):
        check_choice("auxiliary.control", config.auxiliary.control, ("pixels", "features"))
        self.config = config
        self.size = SIZES[config.model.variant]
        settings = games.Settings(**config.env)
        self.game = games.training_environment(settings)
        if self.game.action_size or len(self.game.observation_space.shape) != 3:
            raise UserError(
                f"env.name is a game of images and discrete actions, not {config.env.name!r}"
            )
        if config.env.stack != 1:
            raise UserError("set env.stack=1: there is a memory")
        # Everything that the agent acts on, its memory too, is part of an observation.
        self.env = self.with_memory(self.game)
        frames = self.game.num_envs * config.agent.rollout_steps * self.game.frames_per_step
        self.num_steps = config.total_frames // frames
        self.per_step = {"frames": frames}
        self.source = games.source(self.game)
        self.soft_rules = [
            ("^actors/", PartitionSpec("data")),
            ("^replay/items/", PartitionSpec(None, "data")),
        ]

        tasks = config.auxiliary
        self.control = tasks.control if tasks.control_weight else ""
        self.learner = self.make_learner()
        self.sequences = Sequences(config.replay.steps_per_actor)
        self.replays_sequences = bool(self.control or tasks.value_weight)
        self.replays_histories = tasks.reward_weight > 0

        test_game = games.evaluation_games(settings, games.EvaluationSettings(**config.eval))
        self.evaluation = Evaluation(self.with_memory(test_game), self.act)

    def with_memory(self, game: Environment) -> RecurrentEnvironment:
        return RecurrentEnvironment(game, self.size.lstm, self.config.env.reward_clip)

    def make_learner(self) -> Learner:
        optimizer = self.config.optimizer
        rate = optimizer.learning_rate
        network = UnrealNetwork(
            num_actions=self.game.num_actions,
            variant=self.config.model.variant,
            control=self.control,
            predict_rewards=self.config.auxiliary.reward_weight > 0,
            dtype=self.config.compute_dtype,
        )
        schedule = optax.linear_schedule(
            rate, 0.0 if self.config.agent.anneal else rate, self.num_steps
        )
        return Learner(
            network,
            optax.rmsprop(schedule, optimizer.rmsprop_decay, optimizer.rmsprop_epsilon),
            max_grad_norm=self.config.max_grad_norm,
        )

    def init(self, key: jax.Array) -> State:
        env_key, net_key = jax.random.split(key)
        actors = Actors.start(self.env, env_key)
        learner = self.learner.init(net_key, actors.observation, self.sequences.history)
        replay = None
        if self.replays_sequences or self.replays_histories:
            replay = self.sequences.init(
                jax.eval_shape(self.collect, learner, actors, None, key)[1]
            )
        return State(learner, actors, replay, ReturnCurve.empty(BINS))

    # Acting

    def act(
        self, variables: Any, observation: RecurrentObservation, key: jax.Array
    ) -> tuple[jax.Array, Any]:
        """Actions `[N]` drawn from the policy, and the memory after the step."""
        one_step = jax.tree.map(lambda x: x[None], observation)
        outputs, carry = self.unroll(variables, one_step)
        policy = distribution({"logits": outputs.policy["logits"][0]})
        return policy.sample(key), carry

    def unroll(self, variables: Any, observations: RecurrentObservation) -> tuple[Outputs, Any]:
        """The network over `[T, N, ...]`, from the memory that was stored with the first step."""
        *inputs, carries = observations
        first_carry = jax.tree.map(lambda x: x[0], carries)
        return self.learner.apply(variables, first_carry, *inputs, method="unroll")

    def collect(
        self, learner: LearnerState, actors: Actors, batch: Any, key: jax.Array
    ) -> tuple[Actors, RecurrentTrajectory, jax.Array]:
        """The next n steps of every actor, and the returns of episodes that ended in them."""
        return collect_recurrent(
            self.env,
            actors,
            functools.partial(self.act, learner),
            self.pixel_change,
            key,
            self.config.agent.rollout_steps,
            life_loss_ends=self.config.env.life_loss_ends,
            batch=batch,
        )

    def pixel_change(self, before: jax.Array, after: jax.Array) -> jax.Array | None:
        if self.control != "pixels":
            return None
        return pixel_change(before, after, self.size.crop, self.size.cell)

    # Learning

    def step(
        self, state: State, batch: Any, t: jax.Array, key: jax.Array
    ) -> tuple[State, dict[str, jax.Array]]:
        play_key, replay_key, history_key, learn_key = jax.random.split(key, 4)
        actors, steps, returns = self.collect(state.learner, state.actors, batch, play_key)

        replay, replayed, ready, histories = state.replay, None, None, None
        if replay is not None:
            replay = self.sequences.add(replay, steps)
            if self.replays_sequences:
                # One more than a rollout: the last one's value bootstraps the others' returns.
                length = self.config.agent.rollout_steps + 1
                replayed, ready = self.sequences.sample(replay, replay_key, length)
            if self.replays_histories:
                size = self.config.auxiliary.reward_batch
                histories = self.sequences.histories(replay, history_key, size)
        observations = append_next(steps, actors.observation)
        inputs = LossInputs(steps, observations, replayed, ready, histories)

        learner, metrics = self.learner.minimize(state.learner, self.loss, inputs, learn_key)
        curve = state.curve.add(returns, t, self.num_steps)
        metrics["train/return"] = jnp.nanmean(returns)
        return State(learner, actors, replay, curve), metrics

    def loss(self, variables: Any, batch: LossInputs, key: jax.Array) -> tuple[jax.Array, Aux]:
        """The weighted sum of the base agent's loss and those of the tasks (section 3.4).

        L_UNREAL = L_A3C + lambda_VR L_VR + lambda_PC sum_c L_Q^(c) + lambda_RP L_RP
        """
        agent, tasks = self.config.agent, self.config.auxiliary
        losses = self.losses(variables, batch)
        # L_A3C = L_pi + w_V L_V - w_H E[H(pi)] (section 2)
        loss = losses["policy_loss"] + agent.value_weight * losses["value_loss"]
        loss -= agent.entropy_weight * losses["entropy"]
        if "value_replay_loss" in losses:  # a value loss: it has that one's weight too
            loss += tasks.value_weight * agent.value_weight * losses["value_replay_loss"]
        if "control_loss" in losses:
            loss += tasks.control_weight * losses["control_loss"]
        if "reward_loss" in losses:
            loss += tasks.reward_weight * losses["reward_loss"]
        return loss, Aux(losses)

    def losses(self, variables: Any, batch: LossInputs) -> dict[str, jax.Array]:
        """Every loss by itself, a mean over steps, and the policy's entropy.

        Auxiliary ones are there as far as they have a weight and the batch what they are of.
        """
        played, replayed = self.unroll_both(variables, batch)
        losses = self.a3c_losses(batch.steps, played)
        if batch.replayed is not None:
            # Of the last step replayed only what it acted on counts, and that is in `replayed`.
            steps = jax.tree.map(lambda x: x[:-1], batch.replayed)
            if self.config.auxiliary.value_weight:
                _, value_loss = self.value_loss(steps, replayed.value)
                losses["value_replay_loss"] = batch.ready * value_loss
            if self.config.auxiliary.control_weight:
                losses["control_loss"] = batch.ready * self.control_loss(variables, steps, replayed)
        if batch.histories is not None:
            losses["reward_loss"] = self.reward_prediction_loss(variables, *batch.histories)
        return losses

    def unroll_both(self, variables: Any, batch: LossInputs) -> tuple[Outputs, Outputs]:
        """One pass of the network over what was just played and what is replayed, side by side."""
        observations = batch.observations
        if batch.replayed is not None:
            observations = jax.tree.map(
                lambda new, old: jnp.concatenate([new, old], axis=1),
                observations,
                batch.replayed.inputs,
            )
        both, _ = self.unroll(variables, observations)
        num_envs = batch.steps.action.shape[1]
        played = jax.tree.map(lambda x: x[:, :num_envs], both)
        replayed = jax.tree.map(lambda x: x[:, num_envs:], both)
        return played, replayed

    def a3c_losses(self, steps: RecurrentTrajectory, outputs: Outputs) -> dict[str, jax.Array]:
        """The base agent's (section 2): L_pi = -E[log pi(a|s) (R - V(s))], L_V, and E[H(pi)]."""
        advantage, value_loss = self.value_loss(steps, outputs.value)
        policy = distribution(jax.tree.map(lambda x: x[:-1], outputs.policy))
        gain = policy.log_prob(steps.action) * jax.lax.stop_gradient(advantage)
        return {
            "policy_loss": -weighted_mean(gain, ~steps.truncated),
            "value_loss": value_loss,
            "entropy": policy.entropy().mean(),
        }

    def value_loss(
        self, steps: RecurrentTrajectory, value: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        """Errors R_t:t+n - V(s_t) `[T, N]`, and L_V = E[(R_t:t+n - V(s_t))^2] (sections 2, 3.3).

        Args:
          steps: `[T, N, ...]`, just played, or replayed: L_VR is the same loss of those.
          value: `[T + 1, N]`, by the newest network.
        """
        returns = n_step_returns(
            steps.reward, value, steps.terminated, steps.truncated, self.config.agent.gamma
        )
        error = returns - value[:-1]
        return error, weighted_mean(error**2, ~steps.truncated)

    def control_loss(
        self, variables: Any, steps: RecurrentTrajectory, outputs: Outputs
    ) -> jax.Array:
        """sum_c L_Q^(c) of pixel control, or of feature control (section 3.1).

        Args:
          steps: replayed, `[T, N, ...]`.
          outputs: of the network over them and one more, `[T + 1, N, ...]`.
        """
        q = self.learner.apply(variables, outputs, method="control_values")
        if self.control == "pixels":
            pseudo_reward, cut = steps.change, steps.truncated
        else:
            # Features of what is acted on next: not of what a step led to, where an episode began.
            pseudo_reward = jax.lax.stop_gradient(outputs.feature_map[1:])
            cut = steps.truncated | steps.terminated
        gamma = self.config.auxiliary.control_gamma
        return control_loss(q, steps.action, pseudo_reward, steps.terminated & ~cut, cut, gamma)

    def reward_prediction_loss(
        self, variables: Any, frames: jax.Array, reward: jax.Array, weight: jax.Array
    ) -> jax.Array:
        """L_RP: cross entropy of the next reward's sign after three frames (section 3.2)."""
        logits = self.learner.apply(variables, frames, method="predict_reward")
        cross_entropy = optax.softmax_cross_entropy_with_integer_labels(
            logits, reward_class(reward)
        )
        return weighted_mean(cross_entropy, weight)

    def evaluate(self, state: State, key: jax.Array) -> dict[str, float]:
        """Returns of whole episodes, and the learning curve over equal parts of the run."""
        variables = self.learner.eval_variables(state.learner)
        numbers = {f"eval/{name}": x for name, x in self.evaluation(variables, key).items()}
        curve = jax.device_get(state.curve).means()
        return numbers | {curve_name(i): float(value) for i, value in enumerate(curve)}


def curve_name(part: int) -> str:
    """Name of the mean training return in one of `BINS` parts of the run."""
    return f"return/{part:02d}"


def demo(experiment: UNREAL, state: State) -> Demo:
    return play_demo(experiment.evaluation, experiment.learner.eval_variables(state.learner))


def claims(results: Results) -> list[Claim]:
    if not {"base", "full"} <= set(results.arms):  # a game alone
        return []
    by_part = [results[curve_name(i)] for i in range(BINS)]
    curves = {arm: np.stack([part[arm] for part in by_part]) for arm in results.arms}
    areas = {arm: curve.mean(axis=0) for arm, curve in curves.items()}

    # The base's score is that of its last fifth; who never has it needs more than all frames.
    score = curves["base"][-2:].mean(axis=0)
    frames = {arm: share_of_frames(curve, score) for arm, curve in curves.items()}

    area = Scores("area", areas)
    rows = [
        Scores("share of frames", frames).at_most(
            "full",
            0.5,
            claim="share of the frames to the base's final score",
            paper="about 10 x faster",
            rule="interval",
        ),
        area.above(
            "full",
            "base",
            by=0.1,
            claim="area under the curve",
            paper="87 %, A3C 54 % of a human",
            rule="interval",
        ),
    ]
    if "reward_prediction" in results.arms and "pixel_control" in results.arms:
        rows.append(
            area.above(
                "full",
                "reward_prediction",
                by=0.1,
                claim="pixel control and value replay add to it: area under the curve",
                paper="pixel control brings most (figure 5)",
                rule="interval",
            )
        )
    # What each task brings alone is reported, not claimed.
    for arm in SINGLE_TASKS:
        if arm in results.arms:
            larger = np.sum(areas[arm] > areas["base"])
            ours = (
                f"{spread(frames[arm], 2)}; {spread(areas[arm], 2)}, larger in "
                f"{larger} of {len(score)}"
            )
            rows.append(Claim(f"{arm} alone: share of frames to that score; area", "", ours, None))
    return rows


def share_of_frames(curve: np.ndarray, score: np.ndarray) -> np.ndarray:
    """Share of the frames that curves take to scores, as means over two parts in a row.

    Args:
      curve: `[BINS, S]`.
      score: `[S]`.

    Returns:
      `[S]`; 1 + 1 / BINS for a curve that never reaches its score.
    """
    reached = (curve[1:] + curve[:-1]) / 2 >= score
    reached = np.concatenate([reached, np.ones((1, len(score)), bool)])
    return (reached.argmax(axis=0) + 2) / BINS


if __name__ == "__main__":
    app.run()
