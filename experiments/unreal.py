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

from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import PartitionSpec

from research import app, training
from research.core import Aux, Experiment, Learner, LearnerState, UserError
from research.core.errors import check_choice
from research.core.legacy import OldExperiment
from research.papers.unreal import auxiliary
from research.papers.unreal.losses import Batch, losses
from research.papers.unreal.network import SIZES, Unreal
from research.papers.unreal.return_curve import ReturnCurve
from research.report.claims import Claim, Paper
from research.rl.acting import recurrent_rollouts
from research.rl.acting.actor import Actors
from research.rl.acting.distributions import distribution
from research.rl.acting.episodes import Evaluation
from research.rl.acting.recurrent_rollouts import RecurrentEnvironment, RecurrentObservation
from research.rl.envs import games
from research.rl.replay.sequences import Sequences
from research.rl.replay.transitions import RingState

PAPER = Paper(
    title="Reinforcement Learning with Unsupervised Auxiliary Tasks",
    authors="Jaderberg et al.",
    year=2016,
    arxiv="1611.05397",
    claim="Auxiliary tasks that share the network make the agent learn from fewer frames.",
    curves=("train/return",),
    x="frames",
)
BINS = 10  # of the learning curve that claims compare


@flax.struct.dataclass
class State:
    learner: LearnerState
    actors: Actors
    replay: RingState | None
    steps: jax.Array
    curve: ReturnCurve


def build(config: Any) -> Experiment:
    agent, tasks, size = config.agent, config.auxiliary, SIZES[config.model.variant]
    check_choice("auxiliary.control", tasks.control, ("pixels", "features"))
    env_settings = games.Settings(**config.env)
    inner = games.training_environment(env_settings)
    if inner.action_size or len(inner.observation_space.shape) != 3:
        raise UserError(
            f"env.name is a game of images and discrete actions, not {config.env.name!r}"
        )
    if config.env.stack != 1:
        raise UserError("set env.stack=1: there is a memory")
    env = RecurrentEnvironment(inner, size.lstm, config.env.reward_clip)
    frames = env.num_envs * agent.rollout_steps * inner.frames_per_step
    num_steps = config.total_frames // frames
    control = tasks.control if tasks.control_weight else ""
    model = Unreal(
        inner.num_actions,
        config.model.variant,
        control,
        tasks.reward_weight > 0,
        config.compute_dtype,
    )
    rate = config.optimizer.learning_rate
    learner = Learner(
        model,
        optax.rmsprop(
            optax.linear_schedule(rate, 0.0 if agent.anneal else rate, num_steps),
            config.optimizer.rmsprop_decay,
            config.optimizer.rmsprop_epsilon,
        ),
        max_grad_norm=config.max_grad_norm,
        ema_decay=config.ema_decay,
    )
    sequences = Sequences(config.replay.steps_per_actor)
    replays_sequences = control or tasks.value_weight

    def act(variables: Any, seen: RecurrentObservation, key: jax.Array) -> Any:
        step = jax.tree.map(lambda x: x[None], seen)
        outputs, carry = learner.apply(variables, seen.carry, *step[:4], method="unroll")
        policy = distribution({"logits": outputs.policy["logits"][0]})
        return policy.sample(key), carry

    def change(before: jax.Array, after: jax.Array) -> jax.Array | None:
        if control != "pixels":
            return None
        return auxiliary.pixel_change(before, after, size.crop, size.cell)

    def collect(learned: Any, actors: Actors, key: jax.Array) -> Any:
        return recurrent_rollouts.collect_recurrent(
            env,
            actors,
            lambda *seen: act(learned, *seen),
            change,
            key,
            agent.rollout_steps,
            life_loss_ends=config.env.life_loss_ends,
        )

    def init(key: jax.Array) -> State:
        env_key, net_key = jax.random.split(key)
        actors = Actors.start(env, env_key)
        learned = learner.init(net_key, actors.observation, sequences.history)
        replay = None
        if replays_sequences or tasks.reward_weight:
            replay = sequences.init(jax.eval_shape(collect, learned, actors, key)[1])
        return State(learned, actors, replay, jnp.int32(0), ReturnCurve.empty(BINS))

    def step(state: State, batch: Any, key: jax.Array) -> tuple[State, dict[str, jax.Array]]:
        play_key, replay_key, history_key, learn_key = jax.random.split(key, 4)
        actors = state.actors.receive(env, batch)
        actors, steps, returned = collect(state.learner, actors, play_key)
        replay, replayed, ready, histories = state.replay, None, None, None
        if replay is not None:
            replay = sequences.add(replay, steps)
        if replays_sequences:
            replayed, ready = sequences.sample(replay, replay_key, agent.rollout_steps + 1)
        if tasks.reward_weight:
            histories = sequences.histories(replay, history_key, tasks.reward_batch)
        learned, metrics = learner.minimize(
            state.learner,
            lambda variables, batch, key: loss_of(learner, config, variables, batch),
            Batch(
                steps,
                recurrent_rollouts.append_next(steps, actors.observation),
                replayed,
                ready,
                histories,
            ),
            learn_key,
        )
        curve = state.curve.add(returned, state.steps, num_steps)
        return State(learned, actors, replay, state.steps + 1, curve), {
            **metrics,
            "train/return": jnp.nanmean(returned),
        }

    def evaluate(state: State, key: jax.Array) -> dict[str, float]:
        return play_on(learner.eval_variables(state.learner), key)

    played = games.evaluation_games(
        env_settings,
        config.eval.episodes,
        max_noops=config.eval.max_noops,
        max_episode_frames=config.eval.max_episode_frames,
    )
    play_on = Evaluation(RecurrentEnvironment(played, size.lstm, config.env.reward_clip), act)
    splits = [("^actors/", PartitionSpec("data")), ("^replay/items/", PartitionSpec(None, "data"))]
    return OldExperiment(
        init,
        step,
        num_steps,
        games.source(inner),
        evals={"eval": evaluate},
        splits=splits,
        per_step={"frames": frames},
    )


def loss_of(learner: Learner, config: Any, variables: Any, batch: Batch) -> Any:
    """All losses, each with its weight (section 3.4)."""
    agent, tasks, found = config.agent, config.auxiliary, losses(learner, config, variables, batch)
    weights = {
        "policy_loss": 1.0,
        "value_loss": agent.value_weight,
        "entropy": -agent.entropy_weight,
        "control_loss": tasks.control_weight,
        "reward_loss": tasks.reward_weight,
        "value_replay_loss": tasks.value_weight * agent.value_weight,
    }
    return sum(weights[name] * loss for name, loss in found.items()), Aux(found)


def main(config: Any, workdir: Any) -> dict[str, float]:
    experiment = build(config)
    state, numbers = training.run(experiment, config, workdir)
    curve = jax.device_get(state.curve).means()
    named = {f"return/{i:02d}": value for i, value in enumerate(curve.tolist())}
    return {**numbers, **named}


def claims(results: Any) -> list[Claim]:
    if not {"base", "full"} <= set(results):  # a game alone
        return []
    curves = {k: np.stack([v[f"return/{i:02d}"] for i in range(BINS)]) for k, v in results.items()}
    areas = {arm: curve.mean(axis=0) for arm, curve in curves.items()}
    # The base's score is that of its last fifth; who never has it needs more than all frames.
    score = curves["base"][-2:].mean(axis=0)
    shares = {arm: share_to(curve, score) for arm, curve in curves.items()}
    wins = {arm: int((area > areas["base"]).sum()) for arm, area in areas.items()}
    seeds = len(score)
    # Seeds 5 to 9: areas base 1.09 1.10 1.14 1.48 1.83, full 2.08 1.81 1.85 1.55 2.09; share of the
    # frames .3 .3 .3 1.1 .9. In three of five the base has learned nothing by the end.

    def listed(numbers: np.ndarray) -> str:
        return " ".join(f"{number:.2f}" for number in numbers)

    rows = [
        Claim(
            "full: at most half the frames to the base's final score, in the median",
            "about 10 x faster",
            f"{np.median(shares['full']):.2f} ({listed(shares['full'])})",
            np.median(shares["full"]) <= 0.5,
        ),
        Claim(
            "full: larger area under the curve in >= 4 of 5 seeds",
            "87 %, A3C 54 % of a human",
            f"{wins['full']} of {seeds}: full {listed(areas['full'])}, base "
            f"{listed(areas['base'])}",
            wins["full"] >= 0.8 * seeds,
        ),
    ]
    for arm in ("pixel_control", "feature_control", "reward_prediction", "value_replay"):
        if arm in results:  # what each brings alone is reported, not claimed
            rows.append(
                Claim(
                    f"{arm} alone: frames to that score, area",
                    "",
                    f"{np.median(shares[arm]):.2f}; larger area in {wins[arm]} of "
                    f"{seeds}: {listed(areas[arm])}",
                    None,
                )
            )
    return rows


def share_to(curve: np.ndarray, score: np.ndarray) -> np.ndarray:
    """`[S]` share of the frames after which curves `[BINS, S]`, as means over two parts, first are
    at scores `[S]`; 1 + 1 / BINS if never."""
    reached = (curve[1:] + curve[:-1]) / 2 >= score
    reached = np.concatenate([reached, np.ones((1, len(score)), bool)])
    return (reached.argmax(axis=0) + 2) / BINS


if __name__ == "__main__":
    app.run()
