"""Emergence of Locomotion Behaviours in Rich Environments (Heess, TB, Sriram, Lemmon, Merel, Wayne,
Tassa, Erez, Wang, Eslami, Riedmiller, Silver, 2017), arXiv:1707.02286.

Claim: from a reward for coming forward alone, varied terrain teaches what flat ground does not. On
tracks whose obstacles grow, training on such tracks leads farther than on hard ones; on tracks that
are hard all along it is the other way round. Sooner, as the paper has it, is not measured.

Distributed PPO (section 2): a KL penalty with an adaptive coefficient and a limit, returns of K
steps, statistics of observations and rewards over all workers. Workers are environments split over
the mesh's data axis; their gradients are averaged in every update, none is left out. Departures:
the planar walker has dynamics of our own (`research/rl/planar_body.py`), quick enough for a laptop;
networks have no memory; an epoch goes through the rollout in minibatches; advantages are
normalised; policy and value take their steps together; truncated episodes are bootstrapped. Sizes
of bodies, obstacles, networks and weights of the reward are ours.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
import optax

from research import app, training
from research.core import Aux, Experiment, Learner, LearnerState, UserError
from research.core.legacy import OldExperiment
from research.papers.locomotion_ppo import bodies
from research.papers.locomotion_ppo.networks import LocomotionActorCritic
from research.papers.locomotion_ppo.terrain import CELL
from research.papers.locomotion_ppo.tracks import OnTracks, play
from research.papers.locomotion_ppo.walker_film import save_film
from research.report.claims import Claim, Paper, spread
from research.rl.acting.actor import Actors
from research.rl.acting.rollouts import Collector, flatten, normalize, sweep
from research.rl.agents.kl_penalty import kl_hinge, update_kl_coefficient
from research.rl.agents.on_policy import ACTOR_RULES, apply_actor_critic

PAPER = Paper(
    title="Emergence of Locomotion Behaviours in Rich Environments",
    authors="Heess et al.",
    year=2017,
    arxiv="1707.02286",
    claim="Varied terrain teaches what flat ground does not, and growing obstacles lead farther on "
    "such tracks than hard ones, which lead farther on tracks hard all along.",
    curves=("distance/unseen", "distance/hard", "train/return"),
    x="frames",
)


@flax.struct.dataclass
class State:
    learner: LearnerState
    actors: Actors
    penalty: jax.Array  # lambda, of the KL divergence


def build(config: Any) -> Experiment:
    agent, optimizer = config.agent, config.optimizer
    env = bodies.training_environment(config.env, config.terrain)
    size = env.num_envs * agent.rollout_steps
    if size % agent.minibatches or agent.rollout_steps % agent.return_steps:
        raise UserError(
            f"agent.minibatches divides the {size} steps of a rollout, and agent.return_steps "
            f"agent.rollout_steps={agent.rollout_steps}"
        )
    collector = Collector(
        env,
        agent.rollout_steps,
        agent.gamma,
        lambda_=1.0,
        window=agent.return_steps,
        normalize_observations=config.env.normalize_observations,
        normalize_rewards=config.env.normalize_rewards,
    )
    num_steps = config.total_frames // size
    updates = num_steps * agent.epochs * agent.minibatches
    rate = optax.linear_schedule(
        optimizer.learning_rate, 0.0 if optimizer.anneal else optimizer.learning_rate, updates
    )
    learner = Learner(
        network(config, env),
        optax.adam(rate, eps=optimizer.adam_epsilon),
        config.accumulate_steps,
        config.max_grad_norm,
        config.ema_decay,
    )
    policy = functools.partial(apply_actor_critic, learner)

    def init(key: jax.Array) -> State:
        env_key, net_key = jax.random.split(key)
        actors = collector.init(env_key)
        return State(
            learner.init(net_key, actors.observation[:1]), actors, jnp.float32(agent.kl_penalty)
        )

    def step(state: State, batch: Any, key: jax.Array) -> tuple[State, dict[str, jax.Array]]:
        play_key, learn_key = jax.random.split(key)
        actors, rollout, played = collector.collect(
            state.actors, lambda observation: policy(state.learner, observation), play_key
        )
        rollout = flatten(rollout)

        def loss_fn(variables: Any, batch: Any, key: jax.Array) -> Any:
            new, value = policy(variables, batch.observation)
            ratio = jnp.exp(new.log_prob(batch.action) - batch.log_prob)
            kl = batch.policy.kl(new).mean()
            value_loss = ((value - batch.returns) ** 2).mean()
            loss = -(ratio * batch.advantage).mean() + state.penalty * kl
            loss += agent.limit_weight * kl_hinge(kl, agent.kl_target)
            return loss + agent.value_weight * value_loss, Aux(
                {"value_loss": value_loss, "std": jnp.exp(new.log_std).mean()}
            )

        def update(learned: Any, batch: Any, key: jax.Array) -> Any:
            a = batch.advantage
            batch = batch._replace(advantage=(a - a.mean()) / (a.std() + 1e-8))
            return learner.minimize(learned, loss_fn, batch, key)

        learned, metrics = sweep(
            state.learner,
            rollout,
            learn_key,
            update,
            epochs=agent.epochs,
            minibatches=agent.minibatches,
        )
        kl = rollout.policy.kl(policy(learned, rollout.observation)[0]).mean()
        penalty = update_kl_coefficient(state.penalty, kl, agent.kl_target, factor=1.5)
        return State(learned, actors, penalty), {**metrics, **played, "kl": kl, "penalty": penalty}

    tests = bodies.test_body(config.env, config.terrain, config.eval)
    tested = tester(learner, tests)

    def evaluate(state: State, key: jax.Array) -> dict[str, float]:
        """Metres on each kind of terrain, the mean over its tracks."""
        metres = np.asarray(tested(state, key)[0]).reshape(-1, config.eval.tracks).mean(axis=1)
        return {name: float(x) for name, x in zip(config.eval.terrains, metres, strict=True)}

    return OldExperiment(
        init,
        step,
        num_steps,
        None,
        evals={"distance": evaluate} if tests else {},
        splits=ACTOR_RULES,
        per_step={"frames": size},
    )


def network(config: Any, env: Any) -> LocomotionActorCritic:
    model = config.model
    return LocomotionActorCritic(
        env.action_size,
        bodies.sensed(env),
        tuple(model.hidden),
        tuple(model.trunk),
        model.log_std,
        config.compute_dtype,
    )


def tester(learner: Learner, tests: OnTracks | None) -> Any:
    """`(state, key) -> (metres [tracks], states)` of the policy's mean actions on `tests`."""

    @jax.jit
    def tested(variables: Any, moments: Any, key: jax.Array) -> Any:
        def act(observation: jax.Array, key: jax.Array) -> jax.Array:
            policy, _ = learner.apply(variables, normalize(moments, observation))[0]
            return policy["mean"]

        return play(tests, act, key)

    return lambda state, key: tested(
        *jax.device_get((learner.eval_variables(state.learner), state.actors.moments)), key
    )


def main(config: Any, workdir: Path) -> dict[str, float]:
    experiment = build(config)
    state, numbers = training.run(experiment, config, workdir)
    if experiment.evals and jax.process_index() == 0:  # probes have none
        film(config, state, workdir / "walker.gif")
    return numbers


def film(config: Any, state: State, path: Path) -> None:
    """The first track of each terrain of obstacles, as far as the walker came."""
    tests = bodies.test_body(config.env, config.terrain, config.eval)
    env = bodies.training_environment(config.env, config.terrain)
    learner = Learner(network(config, env), optax.identity())
    metres, states = tester(learner, tests)(state, jax.random.key(config.seed))
    shown = {
        name: i * config.eval.tracks
        for i, (name, terrain) in enumerate(config.eval.terrains.items())
        if terrain[0]
    }
    states = jax.device_get(jax.tree.map(lambda x: x[::2, np.array(list(shown.values()))], states))
    ends = states.time[-1] // 2 + 1
    films = [
        tests.limbs(jax.tree.map(lambda x, i=i, end=end: x[:end, i], states))
        for i, end in enumerate(ends)
    ]
    middle = tests.tracks.heights.shape[1] // 2
    save_film(
        path,
        films,
        [tests.tracks.heights[i, middle] for i in shown.values()],
        CELL,
        [f"{name}: {metres[i]:.0f} m" for name, i in shown.items()],
    )


def claims(results: Any) -> list[Claim]:
    if "curriculum" not in results:  # one body alone
        return []
    metres = {
        arm: {name.removeprefix("distance/"): x for name, x in numbers.items()}
        for arm, numbers in results.items()
    }
    ours = metres["curriculum"]
    # Metres, seeds 0 to 4. Unseen: curriculum 30.5 30.9 33.2 24.9 24.9, flat 18.7 13.7 21.5 20.7
    # 20.9, stationary 16.5 13.6 15.8 17.6 18.1. Steps: 30.7 27.0 35.8 27.7 24.3, flat 16.2 15.4
    # 23.5 15.6 18.8. Margins are from other test tracks and one seed of each arm.
    rows = [
        ("varied terrain, not flat ground: on unseen obstacles", "flat", "unseen", 8.0),
        ("the same, on a kind of obstacle that neither met", "flat", "steps", 5.0),
        ("obstacles that grow, not hard ones, where they grow", "stationary", "unseen", 5.0),
        ("the other way round where all are hard", "stationary", "hard", None),
        ("with sight, not blind", "blind", "unseen", None),
    ]
    return [
        Claim(
            f"{what}" + (f": >= {margin:.0f} m farther" if margin else ": metres"),
            "",
            ", ".join(f"{arm} {spread(metres[arm][test])}" for arm in ("curriculum", other)),
            bool(ours[test].mean() >= metres[other][test].mean() + margin) if margin else None,
        )
        for what, other, test, margin in rows
        if other in metres
    ] or [Claim("metres on unseen obstacles", "", spread(ours["unseen"]), None)]


if __name__ == "__main__":
    app.run()
