"""Continuous control with deep reinforcement learning (Lillicrap et al., 2015), arXiv:1509.02971.

Claim: Q-learning with a network extends to continuous actions with an actor that climbs the
critic's gradient, given replay and target networks that follow slowly.

Values of the config: batch normalization (section 3) or layer normalization, and noise on the
parameters (Plappert et al., 2017, 1706.01905) or Gaussian noise in place of Ornstein-Uhlenbeck's.
Departures: the paper's tasks need MuJoCo; classic control is played instead. N environments may be
stepped together (`env.num_envs`), the paper has one. Its weight decay of the critic is added to the
gradient, of the kernels alone.
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
from research.core import Experiment, Learner, UserError
from research.core.errors import check_choice
from research.core.legacy import OldExperiment
from research.models.deterministic_actor_critic import NORMALIZATIONS, Actor, Critic
from research.report.claims import Claim, Paper
from research.rl.acting.episodes import Evaluation
from research.rl.acting.noise import ParameterNoise, ornstein_uhlenbeck
from research.rl.agents.ddpg import DDPG, DDPGState
from research.rl.envs import gymnax_env, probe_envs
from research.rl.envs.environments import Vectorized
from research.rl.replay.transitions import Ring, RingState, Transition

PAPER = Paper(
    title="Continuous control with deep reinforcement learning",
    authors="Lillicrap et al.",
    year=2015,
    arxiv="1509.02971",
    claim="An actor on a critic's gradient learns continuous control, given target networks.",
    # Three observations, one action, batch normalization. «About 130,000» in the paper's tasks.
    parameters={
        "pendulum": {f"agent/{kind}actor": 123_607 for kind in ("", "target_")}
        | {f"agent/{kind}critic": 123_307 for kind in ("", "target_")}
    },
    curves=("eval/return", "train/return"),
    x="frames",
)
NOISES = ("ornstein_uhlenbeck", "gaussian", "parameters")


@flax.struct.dataclass
class State:
    """N environments, their experience, and what has learned from it."""

    agent: DDPGState
    env: Any
    observation: jax.Array  # [N, D]
    episode_return: jax.Array  # [N], of the unfinished episodes
    noise: jax.Array  # [N, A], on the actions
    parameter_noise: ParameterNoise | None
    replay: RingState
    steps: jax.Array
    last: dict[str, jax.Array]  # metrics of the last update


def build(config: Any) -> Experiment:
    settings, explore_by = config.agent, config.exploration
    env = make_env(config.env.name, config.env.num_envs)
    agent = make_agent(config, env.action_size)
    ring = Ring(config.replay.capacity_frames, env.num_envs)
    check_choice("exploration.name", explore_by.name, NOISES)

    def init(key: jax.Array) -> State:
        env_key, net_key, noise_key = jax.random.split(key, 3)
        observation, env_state = env.reset(env_key)
        learned = agent.init(net_key, observation)
        zeros, action = jnp.zeros(env.num_envs), jnp.zeros((env.num_envs, env.action_size))
        item = Transition(observation, action, zeros, zeros.astype(bool), observation)
        names = jax.eval_shape(lambda: agent.update(learned, item, key)[1])
        last = jax.tree.map(lambda s: jnp.zeros(s.shape), names)
        perturbation = None
        if explore_by.name == "parameters":
            perturbation = ParameterNoise.start(noise_key, learned.actor.params, explore_by.sigma)
        return State(
            learned,
            env_state,
            observation,
            zeros,
            action,
            perturbation,
            ring.init(item),
            jnp.int32(0),
            last,
        )

    def explore(state: State, key: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Actions, and the noise that was added to them."""
        actor, noise = state.agent.actor, state.noise
        if explore_by.name == "parameters":
            actor = actor.replace(params=state.parameter_noise.perturb(actor.params))
        elif explore_by.name == "gaussian":
            noise = explore_by.sigma * jax.random.normal(key, noise.shape)
        else:
            noise = ornstein_uhlenbeck(key, noise, explore_by.theta, explore_by.sigma)
        return jnp.clip(agent.action(actor, state.observation) + noise, -1, 1), noise

    def step(state: State, batch: Any, key: jax.Array) -> tuple[State, dict[str, jax.Array]]:
        act_key, env_key, learn_key, noise_key = jax.random.split(key, 4)
        action, noise = explore(state, act_key)
        observation, env_state, reward, terminated, truncated, info = env.step(
            env_key, state.env, action
        )
        ended, returns = terminated | truncated, state.episode_return + reward
        # Of what a truncated episode led to the value still counts.
        final = info["final_observation"]
        transition = Transition(state.observation, action, reward, terminated, final)
        state = learn(
            state.replace(
                env=env_state,
                observation=observation,
                replay=ring.add(state.replay, transition),
                episode_return=jnp.where(ended, 0, returns),
                steps=state.steps + 1,
                noise=jnp.where(ended[:, None], 0, noise),
            ),
            learn_key,
        )
        if explore_by.name == "parameters":
            state = state.replace(parameter_noise=renew(state, noise_key))
        mean_return = jnp.where(ended, returns, 0).sum() / ended.sum()  # NaN where none ended
        return state, {"train/return": mean_return, **state.last}

    def learn(state: State, key: jax.Array) -> State:
        def update(i: jax.Array, loop: tuple[Any, Any]) -> tuple[Any, Any]:
            sample_key, loss_key = jax.random.split(jax.random.fold_in(key, i))
            batch = ring.sample(state.replay, sample_key, settings.batch_size)
            learned, metrics = agent.update(loop[0], batch, loss_key)
            return agent.follow(learned, settings.tau), metrics

        started = state.steps * env.num_envs >= config.replay.learning_starts_frames
        due = jnp.where(started, settings.updates_per_step, 0)
        learned, last = jax.lax.fori_loop(0, due, update, (state.agent, state.last))
        return state.replace(agent=learned, last=last)

    def renew(state: State, key: jax.Array) -> ParameterNoise:
        """Other parameter noise now and then, as large as keeps its actions at a distance."""
        sample_key, noise_key = jax.random.split(key)
        actor, noise = state.agent.actor, state.parameter_noise
        seen = ring.sample(state.replay, sample_key, settings.batch_size).observation
        perturbed = actor.replace(params=noise.perturb(actor.params))
        change = agent.action(actor, seen) - agent.action(perturbed, seen)
        other = noise.renew(noise_key, jnp.sqrt(jnp.mean(change**2)), explore_by.sigma)
        due = state.steps % explore_by.parameters_kept_steps == 0
        return jax.tree.map(lambda a, b: jnp.where(due, a, b), other, noise)

    splits = [
        ("^replay/items/", PartitionSpec(None, "data")),
        ("^(env|observation|episode_return|noise)(/|$)", PartitionSpec("data")),
    ]
    play = Evaluation(
        make_env(config.env.name, config.eval.episodes),
        lambda actor, x, key: agent.action(actor.replace(params=actor.eval_params), x),
    )
    return OldExperiment(
        init,
        step,
        config.total_frames // env.num_envs,
        evals={"eval": lambda state, key: play(state.agent.actor, key)},
        splits=splits,
        per_step={"frames": env.num_envs},
    )


def make_env(name: str, num_envs: int) -> Vectorized:
    made = (probe_envs if name in probe_envs.CONTINUOUS_PROBES else gymnax_env).make(name, num_envs)
    if not made.action_size:
        raise UserError(f"env.name is one with continuous actions, not {name!r}")
    return made


def make_agent(config: Any, action_size: int) -> DDPG:
    check_choice("model.normalization", config.model.normalization, NORMALIZATIONS)
    kinds = tuple(config.model.hidden), config.model.normalization, config.compute_dtype

    rates, learner = (
        config.optimizer,
        functools.partial(Learner, max_grad_norm=config.max_grad_norm, ema_decay=config.ema_decay),
    )
    decay = optax.add_decayed_weights(
        rates.critic_weight_decay, lambda params: jax.tree.map(lambda p: p.ndim > 1, params)
    )
    return DDPG(
        learner(Actor(action_size, *kinds), optax.adam(rates.actor_learning_rate)),
        learner(Critic(*kinds), optax.chain(decay, optax.adam(rates.critic_learning_rate))),
        config.agent.gamma,
    )


def main(config: Any, workdir: Any) -> dict[str, float]:
    experiment = build(config)
    state, numbers = training.run(experiment, config, workdir)
    return numbers


def claims(results: Any) -> list[Claim]:
    # Seeds 0 to 4: full -171 -161 -149 -153 -146, no_target -1451 -1383 -1403 -1445 -1451.
    runs = {arm: numbers["eval/return"] for arm, numbers in results.items()}
    shown = {k: f"{k} {v.mean():.0f} ({v.min():.0f} to {v.max():.0f})" for k, v in runs.items()}
    worst = {arm: returns.min() for arm, returns in runs.items()}
    return [
        Claim(
            "Pendulum is solved: return >= -250",
            "near a planner's score (table 1)",
            shown["full"],
            worst["full"] >= -250,
        ),
        Claim(
            "without target networks it is not: return at least 1000 lower",
            "very poor in many environments (figure 2)",
            f"{shown['full']}, {shown['no_target']}",
            worst["full"] - runs["no_target"].max() > 1000,
        ),
    ]


if __name__ == "__main__":
    app.run()
