"""Proximal Policy Optimization Algorithms (Schulman, Wolski, Dhariwal, Radford, Klimov, 2017),
arXiv:1707.06347.

Claim: clipping the probability ratio allows many epochs of updates on one rollout, and they pay.

The KL penalty (section 4, adaptive or fixed) and no bound at all are values of `agent.objective`.
What the paper does not mention and OpenAI Baselines does are values too: a clipped value loss,
normalized advantages, observations and rewards; so is its orthogonal initialization, always.
Departures: truncated episodes are bootstrapped from their last observation; statistics of
observations stand still during a rollout. Atari's emulators run inside the step, which the CPU
platform alone can do.
"""

from __future__ import annotations

import research.early  # answers --help at once

from typing import NamedTuple

import flax.struct
import jax
import jax.numpy as jnp
import optax
from ml_collections import ConfigDict

from research import app
from research.core import Aux, Learner, LearnerState, UserError
from research.core.errors import check_choice
from research.models.actor_critic import ActorCritic
from research.report.claims import Claim, Paper, Results
from research.report.demo import Demo
from research.report.game_demo import play_demo
from research.rl.acting.actor import Actors
from research.rl.acting.rollouts import Rollout, normalize_advantage, sweep
from research.rl.agents.kl_penalty import update_kl_coefficient
from research.rl.agents.on_policy import OnPolicy, make_collector
from research.rl.envs import games

PAPER = Paper(
    title="Proximal Policy Optimization Algorithms",
    authors="Schulman et al.",
    year=2017,
    arxiv="1707.06347",
    field="reinforcement learning",
    claim="A clipped objective allows many epochs of updates on one rollout, and they pay.",
    parameters={"atari": 1_686_693},  # Baselines' network with Breakout's 4 actions
    curves=("train/return", "kl"),
    x="frames",
)
OBJECTIVES = ("clip", "kl_penalty", "unbounded")


class State(flax.struct.PyTreeNode):
    learner: LearnerState
    actors: Actors
    beta: jax.Array  # coefficient of the KL penalty


class Bounds(NamedTuple):
    """What holds for all updates on one rollout."""

    epsilon: jax.Array | float  # how far the probability ratio may go from 1
    value_epsilon: jax.Array | float  # how far the value may go from what it was
    beta: jax.Array


class ProximalPolicyOptimization(OnPolicy):
    """Several epochs of minibatch updates on each rollout, by an objective with a bound."""

    def __init__(self, config: ConfigDict):
        agent, model = config.agent, config.model
        check_choice("agent.objective", agent.objective, OBJECTIVES)
        settings = games.Settings(**config.env)
        super().__init__(
            make_collector(settings, agent.rollout_steps, agent.gamma, agent.gae_lambda),
            total_frames=config.total_frames,
            test_env=games.evaluation_games(settings, games.EvaluationSettings(**config.eval)),
            greedy=config.eval.greedy,
        )
        size = settings.num_envs * agent.rollout_steps
        if size % agent.minibatches:
            raise UserError(
                f"{size} steps of a rollout do not divide into "
                f"agent.minibatches={agent.minibatches}"
            )
        self.agent = agent
        # alpha of tables 3 and 5 falls from 1 to 0 over the run.
        self.alpha = optax.linear_schedule(1.0, 0.0, self.num_steps)
        network = ActorCritic(
            self.env.num_actions,
            self.env.action_size,
            model.variant,
            model.shared,
            config.compute_dtype,
        )
        rate = self.learning_rate(config.optimizer.learning_rate)
        tx = optax.adam(rate, eps=config.optimizer.adam_epsilon)
        self.learner = Learner(network, tx, max_grad_norm=config.max_grad_norm)

    def learning_rate(self, rate: float) -> optax.ScalarOrSchedule:
        """alpha times `rate`, the same for all updates on a rollout."""
        updates = self.agent.epochs * self.agent.minibatches
        if not self.agent.anneal:
            return rate
        return lambda count: rate * self.alpha(count // updates)

    def init(self, key: jax.Array) -> State:
        first = super().init(key)
        return State(first.learner, first.actors, jnp.float32(self.agent.kl_penalty))

    def clipped_surrogate(self, ratio, advantage, epsilon):
        """L^CLIP (equation 7): a lower bound that nothing is gained by leaving [1 - e, 1 + e]."""
        clipped = jnp.clip(ratio, 1 - epsilon, 1 + epsilon)
        return jnp.minimum(ratio * advantage, clipped * advantage)

    def penalized_surrogate(self, ratio, advantage, kl, beta):
        """L^KLPEN (equation 8), `kl` being KL[pi_old, pi]."""
        return ratio * advantage - beta * kl

    def surrogate(self, ratio, batch: Rollout, pi, bounds: Bounds):
        """The objective `[B]` of the policy that `agent.objective` names."""
        if self.agent.objective == "clip":
            return self.clipped_surrogate(ratio, batch.advantage, bounds.epsilon)
        if self.agent.objective == "kl_penalty":
            kl = batch.policy.kl(pi)
            return self.penalized_surrogate(ratio, batch.advantage, kl, bounds.beta)
        return ratio * batch.advantage  # equation 6, L^CPI, without a bound

    def squared_error(self, value, batch: Rollout, value_epsilon):
        """L^VF `[B]`, clipped as in Baselines where `agent.value_clip` asks for it."""
        error = (value - batch.returns) ** 2
        if not self.agent.value_clip:
            return error
        clipped = batch.value + jnp.clip(value - batch.value, -value_epsilon, value_epsilon)
        return jnp.maximum(error, (clipped - batch.returns) ** 2)

    def loss(self, variables, batch: Rollout, bounds: Bounds):
        """Less the objective of equation 9: L^CLIP - c1 L^VF + c2 S."""
        pi, value = self.policy_and_value(variables, batch.observation)
        ratio = jnp.exp(pi.log_prob(batch.action) - batch.log_prob)  # r_t(theta)
        surrogate = self.surrogate(ratio, batch, pi, bounds)
        value_loss = self.squared_error(value, batch, bounds.value_epsilon).mean()
        entropy = pi.entropy().mean()
        loss = -surrogate.mean() + self.agent.value_weight * value_loss
        loss = loss - self.agent.entropy_weight * entropy
        return loss, Aux(
            {
                "value_loss": value_loss,
                "entropy": entropy,
                "clip_fraction": (jnp.abs(ratio - 1) > bounds.epsilon).mean(),
            }
        )

    def update(self, state: State, rollout: Rollout, t: jax.Array, key: jax.Array):
        """K epochs of minibatch updates on one rollout (algorithm 1)."""
        remaining = self.alpha(t) if self.agent.anneal_clip else 1.0
        bounds = Bounds(
            epsilon=self.agent.clip * remaining,
            value_epsilon=self.agent.value_clip * remaining,
            beta=state.beta,
        )

        def update(learner, batch: Rollout, key):
            if self.agent.normalize_advantages:
                batch = batch._replace(advantage=normalize_advantage(batch.advantage))
            return self.learner.minimize(
                learner, lambda variables, batch, _: self.loss(variables, batch, bounds), batch, key
            )

        learner, metrics = sweep(
            state.learner,
            rollout,
            key,
            update,
            epochs=self.agent.epochs,
            minibatches=self.agent.minibatches,
        )
        kl = rollout.policy.kl(self.policy(learner, rollout.observation)).mean()
        beta = state.beta
        if self.agent.objective == "kl_penalty" and self.agent.kl_target:
            # Section 4: beta is halved where d < d_targ / 1.5, doubled where d > 1.5 d_targ.
            beta = update_kl_coefficient(beta, kl, self.agent.kl_target, factor=2.0)
        state = state.replace(learner=learner, beta=beta)
        return state, {**metrics, "kl": kl, "penalty": beta}


def demo(experiment: ProximalPolicyOptimization, state: State) -> Demo:
    return play_demo(experiment.test_play, experiment.test_variables(state))


def claims(results: Results) -> list[Claim]:
    if "clip" not in results.arms:  # a game alone
        return []
    returns = results["eval/return"]
    rows = [
        returns.at_least(
            "clip",
            -200,
            claim="solves Pendulum: return",
            paper="better than all others (figure 3)",
            digits=0,
        ),
        returns.above(
            "clip",
            "unbounded",
            by=150,
            claim="clipping, not without: return",
            paper="0.82, -0.39 without (table 1)",
            rule="interval",
            digits=0,
        ),
    ]
    if "kl_penalty" in results.arms:
        rows.append(
            returns.above(
                "kl_penalty",
                "unbounded",
                by=150,
                claim="adaptive KL penalty, not without: return",
                paper="0.74, -0.39 without",
                rule="interval",
                digits=0,
            )
        )
    if "one_epoch" in results.arms:
        rows.append(
            returns.above(
                "clip",
                "one_epoch",
                by=300,
                claim="ten clipped epochs, not one: return",
                paper="one is standard (section 1)",
                rule="interval",
                digits=0,
            )
        )
    return rows


if __name__ == "__main__":
    app.run()
