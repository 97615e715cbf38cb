"""Sample Efficient Actor-Critic with Experience Replay (Wang, Bapst, Heess, Mnih, Munos,
Kavukcuoglu, de Freitas, 2016), arXiv:1611.01224, for discrete actions.

Claim: an actor-critic that replays its experience learns from fewer frames than on-policy alone.

Departures: the actors step together and one update learns from all of them, as in OpenAI Baselines'
form; truncated episodes are bootstrapped from their last observation. Continuous actions, with
their stochastic dueling networks, are absent; so is the recurrent agent. Atari's emulators run
inside the step, which the CPU platform alone can do.
"""

from __future__ import annotations

import functools
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import optax
from jax.sharding import PartitionSpec

from research import app, training
from research.core import Aux, Experiment, Learner, LearnerState, UserError
from research.core.legacy import OldExperiment
from research.models.actor_critic import ActorQ
from research.report.claims import Claim, Paper
from research.rl.acting.actor import Actors
from research.rl.acting.distributions import Categorical
from research.rl.agents.on_policy import ACTOR_RULES, evaluation
from research.rl.envs import games
from research.rl.replay.segments import Segment, Segments, collect_segment
from research.rl.replay.transitions import RingState
from research.rl.retrace import retrace

PAPER = Paper(
    title="Sample Efficient Actor-Critic with Experience Replay",
    authors="Wang et al.",
    year=2016,
    arxiv="1611.01224",
    claim="Replay makes an actor-critic learn from fewer frames than on-policy alone.",
    parameters={"2015": 1_684_128 + 2 * 513 * 4},  # trunk, and Breakout's 4 actions twice
    curves=("train/return",),
    x="frames",
)


@flax.struct.dataclass
class State:
    learner: LearnerState
    average: Any  # parameters of the average policy network
    actors: Actors
    replay: RingState
    steps: jax.Array


def build(config: Any) -> Experiment:
    agent, optimizer = config.agent, config.optimizer
    settings = games.Settings(**config.env)
    env = games.training_environment(settings)
    if env.action_size:
        raise UserError(f"env.name is one with discrete actions, not {config.env.name!r}")
    segments = Segments(
        env.num_envs,
        agent.segment_steps,
        config.replay.capacity_frames // env.frames_per_step,
        env.depth,
    )
    frames = env.num_envs * agent.segment_steps * env.frames_per_step
    num_steps = config.total_frames // frames
    rate = optax.linear_schedule(optimizer.learning_rate, 0.0, num_steps)
    learner = Learner(
        ActorQ(env.num_actions, config.model.variant, config.model.shared, config.compute_dtype),
        # The rate is set by the frames played, for how many updates these make is random.
        optax.inject_hyperparams(optax.rmsprop)(
            optimizer.learning_rate, optimizer.rmsprop_decay, optimizer.rmsprop_epsilon
        ),
        max_grad_norm=config.max_grad_norm,
        ema_decay=config.ema_decay,
    )

    def network(variables: Any, observation: jax.Array) -> tuple[Categorical, jax.Array]:
        """Distributions and action values `[..., A]` of observations `[..., *space]`."""
        rows = observation.reshape(-1, *env.observation_space.shape)
        policy, q = learner.apply(variables, rows)[0]
        shape = *observation.shape[: observation.ndim - len(env.observation_space.shape)], -1
        return Categorical(policy["logits"].reshape(shape)), q.reshape(shape)

    def collect(learned: Any, actors: Actors, key: jax.Array) -> Any:
        return collect_segment(
            env,
            actors,
            lambda seen: network(learned, seen)[0],
            key,
            agent.segment_steps,
            reward_clip=config.env.reward_clip,
            life_loss_ends=config.env.life_loss_ends,
        )

    def init(key: jax.Array) -> State:
        env_key, net_key = jax.random.split(key)
        actors = Actors.start(env, env_key)
        learned = learner.init(net_key, actors.observation[:1])
        replay = segments.init(jax.eval_shape(collect, learned, actors, key)[1])
        return State(learned, jax.tree.map(jnp.copy, learned.params), actors, replay, jnp.int32(0))

    def loss_of(average: Any, variables: Any, segment: Segment, key: jax.Array) -> Any:
        new, q = network(variables, segment.observation)
        following, next_q = network(variables, segment.next_observation)
        old = network({"params": average}, segment.observation)[0]
        f, f_old, f_next = (jax.nn.softmax(policy.logits) for policy in (new, old, following))
        taken = jnp.take_along_axis(q, segment.action[..., None], axis=-1)[..., 0]
        ratio = jnp.exp(new.log_prob(segment.action) - segment.policy.log_prob(segment.action))
        target = jax.lax.stop_gradient(
            retrace(
                segment.reward,
                taken,
                (f_next * next_q).sum(axis=-1),
                ratio,
                segment.terminated,
                segment.done,
                agent.gamma,
            )
        )
        gain = policy_gradient(f, q, target, segment, agent.truncation, agent.entropy_weight)
        divergence = -f_old / (f + 1e-8)  # gradient of KL(average, new) by the probabilities
        z = jax.lax.stop_gradient(bounded(gain, divergence, agent.trust_region))
        q_loss = ((target - taken) ** 2).mean() / 2
        loss = agent.q_weight * q_loss - (z * f).sum(axis=-1).mean()
        return loss, Aux(
            {
                "q_loss": q_loss,
                "entropy": new.entropy().mean(),
                "kl": old.kl(new).mean(),
                "ratio_above_truncation": (ratio > agent.truncation).mean(),
            }
        )

    def update(loop: tuple[Any, ...], segment: Segment, key: jax.Array) -> tuple[Any, ...]:
        learned, average, _ = loop
        loss_fn = functools.partial(loss_of, average)
        learned, metrics = learner.minimize(learned, loss_fn, segment, key)
        average = optax.incremental_update(learned.params, average, 1 - agent.average_decay)
        return learned, average, metrics

    def step(state: State, batch: Any, key: jax.Array) -> tuple[State, dict[str, jax.Array]]:
        """One segment is played and learned from, then some are replayed (algorithm 1)."""
        play_key, now_key, count_key, replay_key = jax.random.split(key, 4)
        actors = state.actors.receive(env, batch)
        actors, segment, played = collect(state.learner, actors, play_key)
        replay, steps = segments.add(state.replay, segment), state.steps + 1
        hyper = {**state.learner.opt_state.hyperparams, "learning_rate": rate(state.steps)}
        learned = state.learner
        learned = learned.replace(opt_state=learned.opt_state._replace(hyperparams=hyper))
        loop = update((learned, state.average, None), segment, now_key)

        def again(i: jax.Array, loop: tuple[Any, ...]) -> tuple[Any, ...]:
            draw_key, loss_key = jax.random.split(jax.random.fold_in(replay_key, i))
            return update(loop, segments.sample(replay, draw_key), loss_key)

        started = steps * frames >= config.replay.learning_starts_frames
        count = jnp.where(started, jax.random.poisson(count_key, agent.replay_ratio), 0)
        learned, average, metrics = jax.lax.fori_loop(0, count, again, loop)
        return State(learned, average, actors, replay, steps), {**metrics, **played}

    test = evaluation(
        games.evaluation_games(
            settings,
            config.eval.episodes,
            max_noops=config.eval.max_noops,
            max_episode_frames=config.eval.max_episode_frames,
        ),
        lambda *args: network(*args)[0],
        greedy=config.eval.greedy,
    )
    return OldExperiment(
        init,
        step,
        num_steps,
        games.source(env),
        evals={"eval": lambda state, key: test((learner.eval_variables(state.learner), None), key)},
        splits=[*ACTOR_RULES, ("^replay/items/", PartitionSpec(None, "data"))],
        per_step={"frames": frames},
    )


def policy_gradient(
    f: jax.Array,
    q: jax.Array,
    target: jax.Array,
    segment: Segment,
    truncation: float,
    entropy_weight: float,
) -> jax.Array:
    """Of the objective by the policy's probabilities f `[T, N, A]` (equation 9), with entropy."""
    mu = jax.nn.softmax(segment.policy.logits)
    f, q = jax.lax.stop_gradient((f, q))
    value = (f * q).sum(axis=-1, keepdims=True)
    done = jax.nn.one_hot(segment.action, f.shape[-1])
    ratio = f / (mu + 1e-8)
    of_taken = done * jnp.minimum(ratio, truncation) * (target[..., None] - value) / (f + 1e-8)
    # What truncation leaves out, in expectation over the policy: f cancels in f grad log f.
    correction = jax.nn.relu(1 - truncation / (ratio + 1e-8)) * (q - value)
    return of_taken + correction - entropy_weight * (1 + jnp.log(f + 1e-8))


def bounded(gain: jax.Array, divergence: jax.Array, limit: float) -> jax.Array:
    """The closest to `gain` whose product with `divergence` is at most `limit` (equation 12)."""
    product = (gain * divergence).sum(axis=-1, keepdims=True)
    square = (divergence**2).sum(axis=-1, keepdims=True)
    return gain - jax.nn.relu(product - limit) / (square + 1e-8) * divergence


def main(config: Any, workdir: Any) -> dict[str, float]:
    experiment = build(config)
    state, numbers = training.run(experiment, config, workdir)
    return numbers


def claims(results: Any) -> list[Claim]:
    if "on_policy" not in results:  # a game alone
        return []
    # Seeds 0 to 4: acer -89 -90 -108 -115 -88, on_policy -493 -496 -497 -500 -493, on_policy_fast
    # -500 -116 -131 -492 -141.
    runs = {arm: numbers["eval/return"] for arm, numbers in results.items()}
    shown = {k: f"{k} {v.mean():.0f} ({v.min():.0f} to {v.max():.0f})" for k, v in runs.items()}
    ours, same, fast = (runs[arm] for arm in ("acer", "on_policy", "on_policy_fast"))
    paper = "more replay, fewer frames to the same score (figure 1)"
    return [
        Claim(
            "solves Acrobot in 120,000 frames: every return >= -150",
            "not on this task",
            shown["acer"],
            ours.min() >= -150,
        ),
        Claim(
            "without replay, at equal frames: every return lower by >= 300",
            paper,
            f"{shown['acer']}, {shown['on_policy']}",
            ours.min() >= same.max() + 300,
        ),
        Claim(
            "without replay, longer steps: mean return lower by >= 100",
            paper,
            f"{shown['acer']}, {shown['on_policy_fast']}",
            ours.mean() >= fast.mean() + 100,
        ),
    ]


if __name__ == "__main__":
    app.run()
