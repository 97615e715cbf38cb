from __future__ import annotations

from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import optax

from research import app, training
from research.models.locomotion import LocomotionActorCritic
from research.paper import Claim, Paper
from research.rl.kl_penalty import adapted, beyond_limit
from research.rl.environments import Vectorized
from research.rl.on_policy import policy_and_value, rules
from research.rl.planar_track import PlanarTrack
from research.rl.rollouts import Actors, Collector, flattened, normalized, sweep
from research.rl.terrain import make_tracks
from research.rl.tracks import play

PAPER = Paper(
    title="Emergence of Locomotion Behaviours in Rich Environments",
    authors="Heess et al.", year=2017, arxiv="1707.02286",
    claim="",
    curves=("unseen/distance", "hard/distance"), x="frames",
)


@flax.struct.dataclass
class State:
    learner: training.LearnerState
    actors: Actors
    penalty: jax.Array  # lambda


def build(config: Any) -> training.Experiment:
    agent, t = config.agent, config.terrain
    tracks = make_tracks(config.seed, t.tracks, t.kinds, t.difficulty, t.length)
    env = Vectorized(PlanarTrack(tracks, config.env.horizon, config.env.blind), config.env.num_envs)
    collector = Collector(env, agent.rollout_steps, agent.gamma, agent.gae_lambda,
                          normalize_observations=config.env.normalize_observations,
                          normalize_rewards=config.env.normalize_rewards, window=agent.return_steps)
    size = env.num_envs * agent.rollout_steps
    num_steps = config.total_frames // size
    updates = agent.epochs * agent.minibatches
    rate = config.optimizer.learning_rate
    schedule = optax.linear_schedule(rate, 0.0 if config.optimizer.anneal else rate, num_steps * updates)
    learner = training.Learner(
        LocomotionActorCritic(6, env.env.exteroception, tuple(config.model.hidden), tuple(config.model.trunk)),
        optax.adam(schedule, eps=config.optimizer.adam_epsilon), config.accumulate_steps, config.max_grad_norm)
    policy = policy_and_value(learner)

    def init(key):
        env_key, net_key = jax.random.split(key)
        actors = collector.init(env_key)
        learned = learner.init(net_key, actors.observation[:1])
        learned.params["policy"]["log_std"] += agent.log_std
        return State(learned, actors, jnp.float32(agent.kl_penalty))

    def step(state, batch, key):
        play_key, learn_key = jax.random.split(key)
        actors, rollout, played = collector.play(state.actors, lambda o: policy(state.learner, o), play_key)
        rollout = flattened(rollout)

        def loss_fn(variables, batch, key):
            new, value = policy(variables, batch.observation)
            ratio = jnp.exp(new.log_prob(batch.action) - batch.log_prob)
            kl = batch.policy.kl(new).mean()
            gain = (ratio * batch.advantage).mean()
            value_loss = ((value - batch.returns) ** 2).mean()
            loss = -gain + state.penalty * kl + agent.limit_weight * beyond_limit(kl, agent.kl_target)
            return loss + agent.value_weight * value_loss, training.Aux({"value_loss": value_loss, "std": jnp.exp(new.log_std).mean()})

        def update(learned, batch, key):
            if agent.normalize_advantages:
                a = batch.advantage
                batch = batch._replace(advantage=(a - a.mean()) / (a.std() + 1e-8))
            return learner.minimize(learned, loss_fn, batch, key)

        learned, metrics = sweep(state.learner, rollout, learn_key, update, epochs=agent.epochs, minibatches=agent.minibatches)
        kl = rollout.policy.kl(policy(learned, rollout.observation)[0]).mean()
        return State(learned, actors, adapted(state.penalty, kl, agent.kl_target, 1.5)), {**metrics, **played, "kl": kl, "penalty": state.penalty}

    tests = {"flat": ((), (0., 0.)), "unseen": (t.kinds, (0., 1.)), "hard": (("hurdles", "gaps", "platforms"), (.7, .7)), "steps": (("steps",), (0., 1.))}
    def evaluation(name, kinds, difficulty):
        test = PlanarTrack(make_tracks(10_000, config.eval.tracks, kinds or ("hurdles", "gaps", "platforms") if name == "unseen" else kinds, difficulty, t.length), config.env.horizon, config.env.blind)
        @jax.jit
        def far(state, key):
            act = lambda o, k: policy(state.learner, normalized(state.actors.moments, o))[0].mode()
            return play(test, act, key)[0]
        return lambda state, key: {"distance": far(state, key).mean()}
    return training.Experiment(init, step, num_steps, None, evals={n: evaluation(n, *x) for n, x in tests.items()}, rules=rules(env), per_step={"frames": size})


def main(config: Any, workdir: Any) -> dict[str, float]:
    experiment = build(config)
    state = training.run(experiment, config, workdir)
    return training.evaluate(experiment, state, config)


def claims(results: Any) -> list[Claim]:
    return []


if __name__ == "__main__":
    app.run()
