"""Scalable trust-region method for deep reinforcement learning using Kronecker-factored
approximation (Wu, Mansimov, Liao, Grosse, Ba, 2017), arXiv:1708.05144.

Claim: natural gradient steps by Kronecker factors learn from fewer frames than first-order ones.

Policy and value together are a distribution over actions and returns, these being normal with
variance 1 (section 3.1): its Fisher matrix is approximated, which for the value is Gauss-Newton's.
The other arm is A2C, the same but for RMSProp in place of `research.optim.kfac`.

Departures: truncated episodes are bootstrapped from their last observation; the inversion of
factors does not run beside the steps, and no first-order steps come before them. Atari's emulators
run inside the step, which the CPU platform alone can do.
"""

from __future__ import annotations

import research.early  # answers --help at once

import jax
import optax
from ml_collections import ConfigDict

from research import app
from research.core import Aux, Learner
from research.core.errors import check_choice
from research.models.actor_critic import ActorCritic
from research.optim.kfac import KFAC, statistics
from research.report.claims import Claim, Paper, Results
from research.report.demo import Demo
from research.report.game_demo import play_demo
from research.rl.acting.rollouts import Rollout
from research.rl.agents.on_policy import OnPolicy, OnPolicyState, make_collector
from research.rl.envs import games

PAPER = Paper(
    title="Scalable trust-region method for deep reinforcement learning using Kronecker-factored "
    "approximation",
    authors="Wu, Mansimov, Liao, Grosse, Ba",
    year=2017,
    arxiv="1708.05144",
    field="reinforcement learning",
    claim="Natural gradients by Kronecker factors learn from fewer frames than first-order ones.",
    parameters={"2015": 1_686_693},  # Baselines' network with Breakout's 4 actions
    curves=("train/return",),
    x="frames",
    method="acktr",
)
OPTIMIZERS = ("kfac", "rmsprop")


class ActorCriticKroneckerTrustRegion(OnPolicy):
    """A2C whose steps are natural gradients by Kronecker factors, within a trust region."""

    def __init__(self, config: ConfigDict):
        agent, model = config.agent, config.model
        check_choice("optimizer.name", config.optimizer.name, OPTIMIZERS)
        settings = games.Settings(**config.env)
        super().__init__(
            make_collector(settings, agent.rollout_steps, agent.gamma, agent.gae_lambda),
            total_frames=config.total_frames,
            test_env=games.evaluation_games(settings, games.EvaluationSettings(**config.eval)),
            greedy=config.eval.greedy,
        )
        self.value_weight = agent.value_weight
        self.entropy_weight = agent.entropy_weight
        self.natural = config.optimizer.name == "kfac"
        self.kfac = self.make_kfac(config.optimizer, shared=model.shared)
        network = ActorCritic(
            self.env.num_actions,
            self.env.action_size,
            model.variant,
            model.shared,
            config.compute_dtype,
        )
        tx = self.kfac.tx() if self.natural else self.make_rmsprop(config.optimizer)
        self.learner = Learner(network, tx, max_grad_norm=config.max_grad_norm)

    def make_kfac(self, settings: ConfigDict, *, shared: bool) -> KFAC:
        """The largest steps that the trust region allows (section 3.2), at most the schedule's."""
        return KFAC(
            optax.linear_schedule(settings.kfac_learning_rate, 0.0, self.num_steps),
            settings.trust_region,
            settings.factor_decay,
            settings.damping,
            settings.momentum,
            settings.inverse_every_steps,
            # Networks that share nothing are two problems (section 3.1).
            apart={} if shared else {"value": settings.value_trust_region},
            # The Fisher information of a normal's logarithmic deviation is 2, wherever it stands.
            known={"policy/log_std": 2.0} if self.env.action_size else {},
        )

    def make_rmsprop(self, settings: ConfigDict) -> optax.GradientTransformation:
        """A2C's optimizer, with its own learning rate."""
        rate = optax.linear_schedule(settings.rmsprop_learning_rate, 0.0, self.num_steps)
        return optax.rmsprop(
            rate,
            settings.rmsprop_decay,
            settings.rmsprop_epsilon,
            settings.rmsprop_initial_scale,
        )

    def fisher_factors(self, variables, observation, key):
        """Factors of the Fisher matrix of p(a, v | s) = pi(a|s) p(v|s), p(v|s) = N(v; V(s), 1).

        It is an expectation over samples from the model, not over what was done (section 3.1).
        """
        action_key, value_key = jax.random.split(key)

        def log_likelihood(output):
            pi, value = output
            action = jax.lax.stop_gradient(pi.sample(action_key))
            sampled_value = value + jax.random.normal(value_key, value.shape)
            error = jax.lax.stop_gradient(sampled_value) - value
            return pi.log_prob(action) - error**2 / 2

        return statistics(lambda: self.policy_and_value(variables, observation), log_likelihood)

    def loss(self, variables, batch: Rollout, key):
        """A2C's objective, whose gradient the inverse factors are applied to."""
        pi, value = self.policy_and_value(variables, batch.observation)
        policy_loss = -(pi.log_prob(batch.action) * batch.advantage).mean()
        value_loss = ((batch.returns - value) ** 2).mean()
        entropy = pi.entropy().mean()
        loss = policy_loss + self.value_weight * value_loss - self.entropy_weight * entropy
        return loss, Aux({"value_loss": value_loss, "entropy": entropy})

    def update(self, state: OnPolicyState, rollout: Rollout, t: jax.Array, key: jax.Array):
        fisher_key, loss_key = jax.random.split(key)
        learner = state.learner
        if self.natural:
            factors = self.fisher_factors(learner, rollout.observation, fisher_key)
            learner = learner.replace(opt_state=self.kfac.observe(learner.opt_state, factors))
        learner, metrics = self.learner.minimize(learner, self.loss, rollout, loss_key)
        kl = rollout.policy.kl(self.policy(learner, rollout.observation)).mean()
        return state.replace(learner=learner), {**metrics, "kl": kl}


def demo(experiment: ActorCriticKroneckerTrustRegion, state: OnPolicyState) -> Demo:
    return play_demo(experiment.test_play, experiment.test_variables(state))


def claims(results: Results) -> list[Claim]:
    if "acktr" not in results.arms:  # a game alone
        return []
    returns = results["eval/return"]
    rivals = {"a2c": "A2C of ten times as many updates", "a2c_50": "nothing but the optimizer"}
    return [
        returns.at_least(
            "acktr",
            -300,
            claim="Pendulum in 150,000 frames: return",
            paper="not on this task",
            digits=0,
        ),
        *(
            returns.above(
                "acktr",
                arm,
                by=200,
                claim=f"{text} at equal frames: return",
                paper="2 to 3 times the frames to A2C's score (abstract)",
                digits=0,
            )
            for arm, text in rivals.items()
            if arm in results.arms
        ),
    ]


if __name__ == "__main__":
    app.run()
