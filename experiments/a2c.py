"""Asynchronous Methods for Deep Reinforcement Learning (Mnih, Badia, Mirza, Graves, Lillicrap,
Harley, Silver, Kavukcuoglu, 2016), arXiv:1602.01783, in OpenAI Baselines' synchronous form (A2C).

Claim: many actors side by side make on-policy learning stable, without replay.

The actors step together and one update learns from all of them, where A3C's threads update shared
parameters whenever they are ready; so there is no delay between policy and gradient. Departures:
truncated episodes are bootstrapped from their last observation; the feed-forward agent alone, not
the recurrent one. Atari's emulators run inside the step, which the CPU platform alone can do.
"""

from __future__ import annotations

import research.early  # answers --help at once

import jax
import optax
from ml_collections import ConfigDict

from research import app
from research.core import Aux, Learner
from research.models.actor_critic import ActorCritic
from research.report.claims import Claim, Paper, Results
from research.report.demo import Demo
from research.report.game_demo import play_demo
from research.rl.acting.rollouts import Rollout
from research.rl.agents.on_policy import OnPolicy, OnPolicyState, make_collector
from research.rl.envs import games

PAPER = Paper(
    title="Asynchronous Methods for Deep Reinforcement Learning",
    authors="Mnih et al.",
    year=2016,
    arxiv="1602.01783",
    field="reinforcement learning",
    claim="Parallel actors stabilise actor-critic learning without replay.",
    # With Breakout's 4 actions: the paper's network, and Baselines'.
    parameters={"2016": 677_429, "2015": 1_686_693},
    curves=("train/return",),
    x="frames",
)


class AdvantageActorCritic(OnPolicy):
    """Actors side by side; one gradient step of policy and value on each of their rollouts."""

    def __init__(self, config: ConfigDict):
        agent, optimizer, model = config.agent, config.optimizer, config.model
        settings = games.Settings(**config.env)
        super().__init__(
            make_collector(settings, agent.rollout_steps, agent.gamma, agent.gae_lambda),
            total_frames=config.total_frames,
            test_env=games.evaluation_games(settings, games.EvaluationSettings(**config.eval)),
            greedy=config.eval.greedy,
        )
        self.value_weight = agent.value_weight
        self.entropy_weight = agent.entropy_weight

        network = ActorCritic(
            self.env.num_actions,
            self.env.action_size,
            model.variant,
            model.shared,
            config.compute_dtype,
        )
        last_rate = 0.0 if agent.anneal else optimizer.learning_rate
        rate = optax.linear_schedule(optimizer.learning_rate, last_rate, self.num_steps)
        tx = optax.rmsprop(
            rate,
            decay=optimizer.rmsprop_decay,
            eps=optimizer.rmsprop_epsilon,
            initial_scale=optimizer.rmsprop_initial_scale,
        )
        self.learner = Learner(network, tx, max_grad_norm=config.max_grad_norm)

    def loss(self, variables, batch: Rollout, key):
        """The objective whose gradients are those of section 4.3 and supplement S3.

        `batch.returns` are R_t, n-step returns bootstrapped with V, and `batch.advantage` is
        A = R_t - V(s_t), a constant to the policy.
        """
        pi, value = self.policy_and_value(variables, batch.observation)
        policy_loss = -(pi.log_prob(batch.action) * batch.advantage).mean()
        value_loss = ((batch.returns - value) ** 2).mean()
        entropy = pi.entropy().mean()
        # beta of the paper weighs the entropy H, which keeps the policy from settling too early.
        loss = policy_loss + self.value_weight * value_loss - self.entropy_weight * entropy
        return loss, Aux({"value_loss": value_loss, "entropy": entropy})

    def update(self, state: OnPolicyState, rollout: Rollout, t: jax.Array, key: jax.Array):
        learner, metrics = self.learner.minimize(state.learner, self.loss, rollout, key)
        return state.replace(learner=learner), metrics


# One actor, by how many times sixteen are better, and what both have alike.
RIVALS = (
    ("one_actor", 1.1, "with equal batches and updates"),
    ("single", 2.0, "with equal rollouts"),
)


def demo(experiment: AdvantageActorCritic, state: OnPolicyState) -> Demo:
    return play_demo(experiment.test_play, experiment.test_variables(state))


def claims(results: Results) -> list[Claim]:
    if "parallel" not in results.arms:  # a game alone
        return []
    returns = results["eval/return"]
    return [
        returns.at_least(
            "parallel",
            350,
            claim="CartPole: return of 500 at most",
            paper="not on this task",
            digits=0,
        ),
        *(
            returns.ratio(
                "parallel",
                arm,
                factor,
                claim=f"sixteen actors, not one, {what}: return",
                paper="training is stabilised by parallel actors (section 4)",
                rule="interval",
                digits=0,
            )
            for arm, factor, what in RIVALS
            if arm in results.arms
        ),
    ]


if __name__ == "__main__":
    app.run()
