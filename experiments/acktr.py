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

from typing import Any

import flax.struct
import jax
import optax

from research import app, training
from research.core import Aux, Experiment, Learner, LearnerState
from research.core.errors import check_choice
from research.core.legacy import OldExperiment
from research.models.actor_critic import ActorCritic
from research.optim.kfac import KFAC, statistics
from research.report.claims import Claim, Paper
from research.rl.acting.rollouts import Actors, flattened
from research.rl.agents.on_policy import SPLITS, evaluation, make_collector, policy_and_value
from research.rl.envs import games

PAPER = Paper(
    title="Scalable trust-region method for deep reinforcement learning using Kronecker-factored "
    "approximation",
    authors="Wu, Mansimov, Liao, Grosse, Ba",
    year=2017,
    arxiv="1708.05144",
    claim="Natural gradients by Kronecker factors learn from fewer frames than first-order ones.",
    parameters={"2015": 1_686_693},  # Baselines' network with Breakout's 4 actions
    curves=("train/return",),
    x="frames",
)
OPTIMIZERS = ("kfac", "rmsprop")


@flax.struct.dataclass
class State:
    learner: LearnerState
    actors: Actors


def build(config: Any) -> Experiment:
    agent = config.agent
    env = games.training_environment(config.env)
    collector = make_collector(config, env)
    frames = env.num_envs * agent.rollout_steps * env.frames_per_step
    num_steps = config.total_frames // frames
    check_choice("optimizer.name", config.optimizer.name, OPTIMIZERS)
    kfac = make_kfac(config, num_steps, env)
    tx = kfac.tx() if config.optimizer.name == "kfac" else make_rmsprop(config.optimizer, num_steps)
    learner = Learner(
        network(config, env), tx, config.accumulate_steps, config.max_grad_norm, config.ema_decay
    )
    policy = policy_and_value(learner)

    def init(key: jax.Array) -> State:
        env_key, net_key = jax.random.split(key)
        actors = collector.init(env_key)
        return State(learner.init(net_key, actors.observation[:1]), actors)

    def fisher(learned: Any, observation: jax.Array, key: jax.Array) -> Any:
        """Factors of the Fisher matrix of p(action, return), for samples from it (section 3.1)."""
        action_key, value_key = jax.random.split(key)

        def log_likelihood(output: Any) -> jax.Array:
            distribution, value = output
            drawn = jax.lax.stop_gradient(distribution.sample(action_key))
            drawn_value = value + jax.random.normal(value_key, value.shape)
            error = jax.lax.stop_gradient(drawn_value) - value
            return distribution.log_prob(drawn) - error**2 / 2

        return statistics(lambda: policy(learned, observation), log_likelihood)

    def step(state: State, batch: Any, key: jax.Array) -> tuple[State, dict[str, jax.Array]]:
        play_key, learn_key = jax.random.split(key)
        actors = state.actors.replace(env=env.receive(state.actors.env, batch))
        actors, rollout, played = collector.play(
            actors, lambda observation: policy(state.learner, observation), play_key
        )

        def loss_fn(variables: Any, batch: Any, key: jax.Array) -> Any:
            new, value = policy(variables, batch.observation)
            policy_loss = -(new.log_prob(batch.action) * batch.advantage).mean()
            value_loss = ((batch.returns - value) ** 2).mean()
            entropy = new.entropy().mean()
            loss = policy_loss + agent.value_weight * value_loss - agent.entropy_weight * entropy
            return loss, Aux({"value_loss": value_loss, "entropy": entropy})

        batch, learned = flattened(rollout), state.learner
        fisher_key, learn_key = jax.random.split(learn_key)
        if config.optimizer.name == "kfac":
            factors = fisher(learned, batch.observation, fisher_key)
            learned = learned.replace(opt_state=kfac.observe(learned.opt_state, factors))
        learned, metrics = learner.minimize(learned, loss_fn, batch, learn_key)
        metrics["kl"] = batch.policy.kl(policy(learned, batch.observation)[0]).mean()
        return State(learned, actors), {**metrics, **played}

    play = evaluation(
        config, lambda *args: policy(*args)[0], lambda state: learner.eval_variables(state.learner)
    )
    return OldExperiment(
        init,
        step,
        num_steps,
        games.emulators(env, lambda state: state.actors.env),
        evals={"eval": play},
        splits=SPLITS,
        per_step={"frames": frames},
    )


def make_kfac(config: Any, num_steps: int, env: Any) -> KFAC:
    settings = config.optimizer
    return KFAC(
        optax.linear_schedule(settings.kfac_learning_rate, 0.0, num_steps),
        settings.trust_region,
        settings.factor_decay,
        settings.damping,
        settings.momentum,
        settings.inverse_every_steps,
        # Networks that share nothing are two problems (section 3.1).
        apart={} if config.model.shared else {"value": settings.value_trust_region},
        # The Fisher information of a normal's logarithmic deviation is 2, wherever it stands.
        known={"policy/log_std": 2.0} if env.action_size else {},
    )


def make_rmsprop(settings: Any, num_steps: int) -> optax.GradientTransformation:
    """A2C's, with its own learning rate."""
    rate = optax.linear_schedule(settings.rmsprop_learning_rate, 0.0, num_steps)
    return optax.rmsprop(rate, settings.rmsprop_decay, settings.rmsprop_epsilon)


def network(config: Any, env: Any) -> ActorCritic:
    return ActorCritic(
        env.num_actions,
        env.action_size,
        config.model.variant,
        config.model.shared,
        config.compute_dtype,
    )


def main(config: Any, workdir: Any) -> dict[str, float]:
    experiment = build(config)
    state, numbers = training.run(experiment, config, workdir)
    return numbers


def claims(results: Any) -> list[Claim]:
    if "acktr" not in results:  # a game alone
        return []
    # Seeds 0 to 4: acktr -212 -213 -187 -210 -232, a2c -470 -1000 -718 -886 -831, a2c_50 -921 -923
    # -905 -920 -884.
    runs = {arm: numbers["eval/return"] for arm, numbers in results.items()}
    shown = {k: f"{k} {v.mean():.0f} ({v.min():.0f} to {v.max():.0f})" for k, v in runs.items()}
    rows = [("A2C of ten times as many updates", "a2c"), ("nothing but the optimizer", "a2c_50")]
    return [
        Claim(
            "Pendulum in 150,000 frames: return >= -300",
            "not on this task",
            shown["acktr"],
            runs["acktr"].min() >= -300,
        ),
        *(
            Claim(
                f"{what} at equal frames: return lower by >= 200",
                "2 to 3 times the frames to A2C's score (abstract)",
                f"{shown['acktr']}, {shown[arm]}",
                runs["acktr"].min() >= runs[arm].max() + 200,
            )
            for what, arm in rows
            if arm in runs
        ),
    ]


if __name__ == "__main__":
    app.run()
