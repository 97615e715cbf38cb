"""Trust Region Policy Optimization (Schulman, Levine, Moritz, Jordan, Abbeel, 2015),
arXiv:1502.05477, its single-path form, with the generalized advantage estimates of
arXiv:1506.02438.

Claim: steps bounded in KL divergence improve the policy nearly monotonically.

As in OpenAI Baselines the value function is a network of its own, fitted by Adam over several
epochs; the paper fits none, and sums returns. Departures: truncated episodes are bootstrapped from
their last observation; a line search that finds nothing leaves the policy as it is.
"""

from __future__ import annotations

import research.early  # answers --help at once

from pathlib import Path
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.flatten_util import ravel_pytree
from ml_collections import ConfigDict

from research import app, training
from research.core import Learner, LearnerState
from research.models.actor_critic import Actor, Critic
from research.report.claims import Claim, Paper, Results
from research.report.demo import Demo
from research.report.game_demo import play_demo
from research.rl.acting.actor import Actors
from research.rl.acting.distributions import distribution
from research.rl.acting.rollouts import Rollout, normalize_advantage
from research.rl.agents.on_policy import OnPolicy, make_collector
from research.rl.agents.trpo import check_rollout, fit_value, init_policy
from research.rl.agents.trust_region import (
    LineSearch,
    conjugate_gradient,
    fisher_product,
    line_search,
)
from research.rl.envs import games

PAPER = Paper(
    title="Trust Region Policy Optimization",
    authors="Schulman et al.",
    year=2015,
    arxiv="1502.05477",
    field="reinforcement learning",
    claim="A bound on the KL divergence of each step makes improvement nearly monotone.",
    curves=("train/return", "kl"),
    x="frames",
)


class Record(flax.struct.PyTreeNode):
    """What the claims are about, of the run so far."""

    best: jax.Array  # mean return of a rollout's episodes, the highest yet
    drop: jax.Array  # the farthest that a later rollout fell below it
    kl: jax.Array  # the largest of a step
    improvement: jax.Array  # of the surrogate, the least of a step
    taken: jax.Array  # how many steps were, of some length

    @classmethod
    def empty(cls) -> Record:
        return cls(*(jnp.float32(x) for x in (-jnp.inf, 0, 0, jnp.inf, 0)))

    def add_step(self, kl: jax.Array, found: LineSearch) -> Record:
        return self.replace(
            kl=jnp.maximum(self.kl, kl),
            improvement=jnp.minimum(self.improvement, found.improvement),
            taken=self.taken + ((found.fraction > 0) & (kl > 0)),
        )

    def add_return(self, mean: jax.Array) -> Record:
        # fmax: the mean is NaN where no episode ended.
        return self.replace(
            best=jnp.fmax(self.best, mean), drop=jnp.fmax(self.drop, self.best - mean)
        )


class State(flax.struct.PyTreeNode):
    policy: Any  # variables of its network: no optimizer has them
    value: LearnerState
    actors: Actors
    record: Record


class TrustRegionPolicyOptimization(OnPolicy):
    """One natural gradient step of the policy on each rollout, within a trust region."""

    def __init__(self, config: ConfigDict):
        agent, variant, dtype = config.agent, config.model.variant, config.compute_dtype
        settings = games.Settings(**config.env)
        super().__init__(
            make_collector(settings, agent.rollout_steps, agent.gamma, agent.gae_lambda),
            total_frames=config.total_frames,
            test_env=games.evaluation_games(settings, games.EvaluationSettings(**config.eval)),
            greedy=config.eval.greedy,
        )
        check_rollout(
            settings.num_envs * agent.rollout_steps, agent.value_minibatches, agent.fisher_every
        )
        self.agent = agent
        self.actor = Actor(self.env.num_actions, self.env.action_size, variant, dtype)
        adam = optax.adam(config.optimizer.learning_rate, eps=config.optimizer.adam_epsilon)
        self.critic = Learner(Critic(variant, dtype), adam, max_grad_norm=config.max_grad_norm)

    def init(self, key: jax.Array) -> State:
        env_key, policy_key, value_key = jax.random.split(key, 3)
        actors = self.collector.init(env_key)
        observation = actors.observation[:1]
        return State(
            policy=init_policy(self.actor, policy_key, observation),
            value=self.critic.init(value_key, observation),
            actors=actors,
            record=Record.empty(),
        )

    def policy(self, variables, observation):
        return distribution(self.actor.apply(variables, observation)[0])

    def policy_and_value(self, variables, observation):
        policy, value = variables
        return self.policy(policy, observation), self.critic.apply(value, observation)[0]

    def acting_variables(self, state: State):
        return state.policy, state.value

    def eval_variables(self, state: State):
        return state.policy

    def surrogate(self, params, rollout: Rollout, advantage):
        """The objective of equation 14, E[pi(a|s) / pi_old(a|s) A(s, a)] with q = pi_old."""
        pi = self.policy({"params": params}, rollout.observation)
        ratio = jnp.exp(pi.log_prob(rollout.action) - rollout.log_prob)
        return (ratio * advantage).mean()

    def mean_kl(self, params, rollout: Rollout):
        """The constraint of equation 14, E[KL(pi_old(.|s), pi(.|s))], to be at most delta."""
        pi = self.policy({"params": params}, rollout.observation)
        return rollout.policy.kl(pi).mean()

    def improve(self, policy, rollout: Rollout) -> tuple[Any, LineSearch]:
        """The step that solves equation 14 approximately (section 6, appendix C)."""
        theta, unravel = ravel_pytree(policy["params"])
        advantage = normalize_advantage(rollout.advantage)
        # A part of the states suffices for the Fisher matrix A.
        few = jax.tree.map(lambda x: x[:: self.agent.fisher_every], rollout)

        def surrogate(theta):
            return self.surrogate(unravel(theta), rollout, advantage)

        def mean_kl(theta):
            return self.mean_kl(unravel(theta), rollout)

        def times_fisher(v):  # A v, with A damped
            product = fisher_product(lambda theta: self.mean_kl(unravel(theta), few), theta, v)
            return product + self.agent.damping * v

        # The direction s = A^-1 g, and the length beta at which s^T A s beta^2 / 2 = delta.
        g = jax.grad(surrogate)(theta)
        s = conjugate_gradient(times_fisher, g, self.agent.cg_iterations)
        size = s @ times_fisher(s)
        beta = jnp.sqrt(2 * self.agent.kl_limit / jnp.maximum(size, 1e-12))
        if self.agent.step_size:  # natural policy gradient (section 8): a fixed penalty's length
            beta = jnp.float32(self.agent.step_size)
        found = line_search(
            theta,
            s * beta,
            surrogate,
            mean_kl,
            kl_limit=self.agent.kl_limit,
            backtracks=self.agent.backtracks,
        )
        return {"params": unravel(found.params)}, found

    def update(self, state: State, rollout: Rollout, t: jax.Array, key: jax.Array):
        policy, found = self.improve(state.policy, rollout)
        value, metrics = fit_value(
            self.critic,
            state.value,
            rollout,
            key,
            epochs=self.agent.value_epochs,
            minibatches=self.agent.value_minibatches,
        )
        # Of the policies themselves: the line search is not asked what it let through.
        kl = self.mean_kl(policy["params"], rollout)
        state = state.replace(policy=policy, value=value, record=state.record.add_step(kl, found))
        return state, {
            "value_loss": metrics["loss"],
            "kl": kl,
            "improvement": found.improvement,
            "step_fraction": found.fraction,
            "entropy": rollout.policy.entropy().mean(),
        }

    def step(self, state: State, batch, t: jax.Array, key: jax.Array):
        state, metrics = super().step(state, batch, t, key)
        return state.replace(record=state.record.add_return(metrics["train/return"])), metrics


def main(
    experiment: TrustRegionPolicyOptimization, config: ConfigDict, workdir: Path
) -> dict[str, float]:
    state, numbers = training.run(experiment, config, workdir)
    record = {f"run/{name}": float(x) for name, x in vars(state.record).items()}
    record["run/kl_limit"] = config.agent.kl_limit
    record["run/taken"] /= experiment.num_steps
    return {**numbers, **record}


def demo(experiment: TrustRegionPolicyOptimization, state: State) -> Demo:
    return play_demo(experiment.test_play, experiment.test_variables(state))


def claims(results: Results) -> list[Claim]:
    if "trust_region" not in results.arms:  # a task alone
        return []
    kl, gain, taken, limit = (
        results[f"run/{name}"]["trust_region"]
        for name in ("kl", "improvement", "taken", "kl_limit")
    )
    # Without this, a policy that stays where it is would pass the first two rows.
    moves = taken.min() >= 0.9
    returns = results["eval/return"]
    return [
        Claim(
            "no step goes farther than the limit on KL, and >= 90 % are taken",
            "0.01 (section 8)",
            f"{kl.max():.4f} nats; {taken.min():.0%} [every seed]",
            bool(np.all(kl <= limit) and moves),
        ),
        Claim(
            "no step lowers the surrogate, and >= 90 % are taken",
            "by its line search (appendix C)",
            f"least gain {gain.min():.4f}; {taken.min():.0%} [every seed]",
            bool(gain.min() >= 0 and moves),
        ),
        returns.at_least(
            "trust_region",
            -200,
            claim="solves Pendulum: return",
            paper="all its tasks (figure 4)",
            digits=0,
        ),
        results["run/drop"].ratio(
            "wide",
            "trust_region",
            2.0,
            claim="nearly monotone: steps of up to 1 nat fall twice as far below their best",
            paper="monotonic improvement, approximately",
            digits=0,
        ),
        returns.above(
            "trust_region",
            "wide",
            by=300,
            claim="than with steps of up to 1 nat: return higher",
            paper="robust where others fail",
            rule="interval",
            digits=0,
        ),
    ]


if __name__ == "__main__":
    app.run()
