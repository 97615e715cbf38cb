"""Trust Region Policy Optimization (Schulman, Levine, Moritz, Jordan, Abbeel, 2015),
arXiv:1502.05477, its single-path form, with the generalised advantage estimates of
arXiv:1506.02438.

Claim: steps bounded in KL divergence improve the policy nearly monotonically.

As in OpenAI Baselines the value function is a network of its own, fitted by Adam over several
epochs; the paper fits none, and sums returns. Departures: truncated episodes are bootstrapped from
their last observation; a line search that finds nothing leaves the policy as it is.
"""

from __future__ import annotations

from typing import Any

import flax.struct
import jax
import jax.numpy as jnp

from research import app, training
from research.core import Experiment, LearnerState
from research.core.legacy import OldExperiment
from research.models.actor_critic import Actor, Critic
from research.report.claims import Claim, Paper
from research.rl.acting.rollouts import Actors, flattened
from research.rl.agents.on_policy import SPLITS, evaluation, make_collector
from research.rl.agents.trpo import TRPO
from research.rl.envs import games

PAPER = Paper(
    title="Trust Region Policy Optimization",
    authors="Schulman et al.",
    year=2015,
    arxiv="1502.05477",
    claim="A bound on the KL divergence of each step makes improvement nearly monotone.",
    curves=("train/return", "kl"),
    x="frames",
)


@flax.struct.dataclass
class Record:
    """Of the run so far: what the claims are about."""

    best: jax.Array  # mean return of a rollout's episodes, the highest yet
    drop: jax.Array  # the farthest that a later rollout fell below it
    kl: jax.Array  # the largest of a step
    improvement: jax.Array  # of the surrogate, the least of a step
    taken: jax.Array  # how many steps were, of some length


@flax.struct.dataclass
class State:
    policy: LearnerState
    value: LearnerState
    actors: Actors
    record: Record


def build(config: Any) -> Experiment:
    agent = config.agent
    env = games.training_environment(config.env)
    collector = make_collector(config, env)
    size = env.num_envs * agent.rollout_steps
    variant, dtype = config.model.variant, config.compute_dtype
    trpo = TRPO.make(
        config, Actor(env.num_actions, env.action_size, variant, dtype), Critic(variant, dtype)
    )

    def init(key: jax.Array) -> State:
        env_key, policy_key, value_key = jax.random.split(key, 3)
        actors = collector.init(env_key)
        seen = actors.observation[:1]
        record = Record(*(jnp.float32(x) for x in (-jnp.inf, 0, 0, jnp.inf, 0)))
        return State(
            trpo.actor.init(policy_key, seen), trpo.critic.init(value_key, seen), actors, record
        )

    def step(state: State, batch: Any, key: jax.Array) -> tuple[State, dict[str, jax.Array]]:
        play_key, value_key = jax.random.split(key)
        actors = state.actors.replace(env=env.receive(state.actors.env, batch))
        actors, rollout, played = collector.play(
            actors,
            lambda seen: (trpo.policy(state.policy, seen), trpo.value(state.value, seen)),
            play_key,
        )
        rollout = flattened(rollout)
        learned, taken = trpo.improve(state.policy, rollout)
        value, metrics = trpo.fit(state.value, rollout, value_key)
        # Of the policies themselves: the line search is not asked what it let through.
        kl = rollout.policy.kl(trpo.policy(learned, rollout.observation)).mean()
        past, mean = state.record, played["train/return"]
        record = Record(  # fmax: the mean is NaN where no episode ended
            jnp.fmax(past.best, mean),
            jnp.fmax(past.drop, past.best - mean),
            jnp.maximum(past.kl, kl),
            jnp.minimum(past.improvement, taken.improvement),
            past.taken + ((taken.fraction > 0) & (kl > 0)),
        )
        return State(learned, value, actors, record), {
            "value_loss": metrics["loss"],
            **played,
            "kl": kl,
            "improvement": taken.improvement,
            "step_fraction": taken.fraction,
            "entropy": rollout.policy.entropy().mean(),
        }

    play = evaluation(config, trpo.policy, lambda state: {"params": state.policy.params})
    return OldExperiment(
        init,
        step,
        config.total_frames // (size * env.frames_per_step),
        games.emulators(env, lambda state: state.actors.env),
        evals={"eval": play},
        splits=SPLITS,
        per_step={"frames": size * env.frames_per_step},
    )


def main(config: Any, workdir: Any) -> dict[str, float]:
    experiment = build(config)
    state, numbers = training.run(experiment, config, workdir)
    record = {f"run/{name}": float(x) for name, x in vars(state.record).items()}
    record["run/kl_limit"] = config.agent.kl_limit
    record["run/taken"] /= experiment.num_steps
    return {**numbers, **record}


def claims(results: Any) -> list[Claim]:
    if "trust_region" not in results:  # a task alone
        return []
    ours, wide = results["trust_region"], results["wide"]

    def shown(name: str) -> str:
        return ", ".join(
            f"{arm} {numbers[name].mean():.0f} ({numbers[name].min():.0f} to "
            f"{numbers[name].max():.0f})"
            for arm, numbers in results.items()
        )

    # Seeds 0 to 4: return -156 -155 -161 -140 -165, wide -793 -969 -306 -881 -1027; the farthest
    # fall of a rollout's mean (16 episodes, so partly chance) below the best before it 104 205 117
    # 127 198, wide 1049 516 1127 1025 899.
    returns, drops, gain = "eval/return", "run/drop", ours["run/improvement"].min()
    taken = ours["run/taken"].min()  # without which a policy that stays would pass the next rows
    return [
        Claim(
            "no step goes farther than the limit on KL, and >= 90 % are taken",
            "0.01 (section 8)",
            f"{ours['run/kl'].max():.4f} nats; {taken:.0%}",
            (ours["run/kl"] <= ours["run/kl_limit"]).all() and taken >= 0.9,
        ),
        Claim(
            "no step lowers the surrogate, and >= 90 % are taken",
            "by its line search (appendix C)",
            f"least gain {gain:.4f}; {taken:.0%}",
            gain >= 0 and taken >= 0.9,
        ),
        Claim(
            "solves Pendulum: return >= -200",
            "all its tasks (figure 4)",
            shown(returns),
            ours[returns].mean() >= -200,
        ),
        Claim(
            "nearly monotone: falls half as far below its best as steps of up to 1 nat",
            "monotonic improvement, approximately",
            f"fall: {shown(drops)}",
            ours[drops].mean() <= 0.5 * wide[drops].mean(),
        ),
        Claim(
            "return higher by >= 300 than with steps of up to 1 nat",
            "robust where others fail",
            shown(returns),
            ours[returns].mean() >= wide[returns].mean() + 300,
        ),
    ]


if __name__ == "__main__":
    app.run()
