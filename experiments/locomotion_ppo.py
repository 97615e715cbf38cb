"""Emergence of Locomotion Behaviours in Rich Environments (Heess, TB, Sriram, Lemmon, Merel, Wayne,
Tassa, Erez, Wang, Eslami, Riedmiller, Silver, 2017), arXiv:1707.02286.

Claim: from a reward for coming forward alone, varied terrain teaches what flat ground does not. On
tracks whose obstacles grow, training on such tracks leads farther than on hard ones; on tracks that
are hard all along it is the other way round. Sooner, as the paper has it, is not measured.

Distributed PPO (section 2): a KL penalty with an adaptive coefficient and a limit, returns of K
steps, statistics of observations and rewards over all workers. Workers are environments split over
the mesh's data axis; their gradients are averaged in every update, none is left out. Departures:
the planar walker has dynamics of our own (`planar_body.py`), quick enough for a laptop; networks
have no memory; an epoch goes through the rollout in minibatches; advantages are normalized; policy
and value take their steps together; truncated episodes are bootstrapped. Sizes of bodies,
obstacles, networks and weights of the reward are ours.
"""

from __future__ import annotations

import research.early  # answers --help at once

import functools
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
import optax
from ml_collections import ConfigDict

from research import app, training
from research.core import Aux, Learner, LearnerState, UserError
from research.papers.locomotion_ppo import bodies
from research.papers.locomotion_ppo.networks import LocomotionActorCritic
from research.papers.locomotion_ppo.terrain import CELL
from research.papers.locomotion_ppo.tracks import OnTracks, play_tracks
from research.papers.locomotion_ppo.walker_film import FPS, film_frames, save_film
from research.report.claims import Claim, Paper, Results, spread
from research.report.demo import Choice, Demo, Film, Number
from research.rl.acting.actor import Actors
from research.rl.acting.distributions import DiagonalNormal
from research.rl.acting.rollouts import (
    Collector,
    Rollout,
    normalize,
    normalize_advantage,
    sweep,
)
from research.rl.agents.kl_penalty import kl_hinge, update_kl_coefficient
from research.rl.agents.on_policy import OnPolicy
from research.rl.envs import probe_envs
from research.rl.envs.environments import Environment, Vectorized

PAPER = Paper(
    title="Emergence of Locomotion Behaviours in Rich Environments",
    authors="Heess et al.",
    year=2017,
    arxiv="1707.02286",
    field="reinforcement learning",
    claim="Varied terrain teaches what flat ground does not, and growing obstacles lead farther on "
    "such tracks than hard ones, which lead farther on tracks hard all along.",
    curves=("distance/unseen", "distance/hard", "train/return"),
    x="frames",
)


class State(flax.struct.PyTreeNode):
    """What a run carries from step to step.

    Attributes:
      learner: policy and value.
      actors: the workers' environments in the middle of their episodes.
      kl_coefficient: lambda, of the KL penalty.
    """

    learner: LearnerState
    actors: Actors
    kl_coefficient: jax.Array


class DistributedPPO(OnPolicy):
    """PPO with a KL penalty over many workers (section 2.2), for a body on terrain."""

    def __init__(self, config: ConfigDict):
        self.config = config
        agent = config.agent
        env = self.make_training_environment()
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
        super().__init__(collector, total_frames=config.total_frames)
        self.network = LocomotionActorCritic(
            env.action_size,
            bodies.count_exteroception(env),
            tuple(config.model.hidden),
            tuple(config.model.trunk),
            config.model.log_std,
            config.compute_dtype,
        )
        optimizer = config.optimizer
        updates = self.num_steps * agent.epochs * agent.minibatches
        last_rate = 0.0 if optimizer.anneal else optimizer.learning_rate
        rate = optax.linear_schedule(optimizer.learning_rate, last_rate, updates)
        tx = optax.adam(rate, eps=optimizer.adam_epsilon)
        self.learner = Learner(self.network, tx, max_grad_norm=config.max_grad_norm)

        self.test_body = self.make_test_body()
        self._play_tests = jax.jit(self.play_tests)

    # Bodies and their terrain

    def make_training_environment(self) -> Environment:
        env, terrain = self.config.env, self.config.terrain
        if bodies.is_probe(env.name):
            return probe_envs.make(env.name, env.num_envs)
        body = self.make_body(terrain.kinds, terrain.difficulty, terrain.tracks, terrain.seed)
        return Vectorized(body, env.num_envs)

    def make_test_body(self) -> OnTracks | None:
        """The body on the test tracks, terrain after terrain; None for a probe."""
        if bodies.is_probe(self.config.env.name):
            return None
        tests = self.config.eval
        terrains = tests.terrains.values()
        return bodies.join_tracks(
            [
                self.make_body(kinds, difficulty, tests.tracks, tests.seed)
                for kinds, difficulty in terrains
            ]
        )

    def make_body(self, kinds: Any, difficulty: Any, count: int, seed: int) -> OnTracks:
        env, terrain = self.config.env, self.config.terrain
        return bodies.make_body(
            env.name,
            kinds=kinds,
            difficulty=difficulty,
            count=count,
            seed=seed,
            length=terrain.length,
            width=terrain.width,
            horizon=env.horizon,
            blind=env.blind,
        )

    # The algorithm

    def init(self, key: jax.Array) -> State:
        state = super().init(key)
        return State(state.learner, state.actors, jnp.float32(self.config.agent.kl_penalty))

    def loss(
        self, variables: Any, batch: Rollout, key: jax.Array, kl_coefficient: jax.Array
    ) -> tuple[jax.Array, Aux]:
        """-J_PPO(theta) + w L_BL(phi), policy and value in one step (algorithm 2).

        J_PPO = E[pi(a|s) / pi_old(a|s) A] - lambda KL[pi_old | pi]
                - xi max(0, KL[pi_old | pi] - 2 KL_target)^2
        L_BL = E[(R - V(s))^2], where R are K-step returns
        """
        agent = self.config.agent
        pi, value = self.policy_and_value(variables, batch.observation)
        assert isinstance(pi, DiagonalNormal)  # torques are continuous
        ratio = jnp.exp(pi.log_prob(batch.action) - batch.log_prob)
        kl = batch.policy.kl(pi).mean()
        policy_loss = -(ratio * batch.advantage).mean() + kl_coefficient * kl
        policy_loss += agent.limit_weight * kl_hinge(kl, agent.kl_target)
        value_loss = ((value - batch.returns) ** 2).mean()
        metrics = {"value_loss": value_loss, "std": jnp.exp(pi.log_std).mean()}
        return policy_loss + agent.value_weight * value_loss, Aux(metrics)

    def update(
        self, state: State, rollout: Rollout, t: jax.Array, key: jax.Array
    ) -> tuple[State, dict[str, jax.Array]]:
        """Epochs of minibatches of a rollout, then the coefficient for the next one."""
        agent = self.config.agent
        loss = functools.partial(self.loss, kl_coefficient=state.kl_coefficient)

        def minimize(learner: LearnerState, batch: Rollout, key: jax.Array) -> Any:
            # The mean gradient over all workers, each of which has a share of the minibatch.
            batch = batch._replace(advantage=normalize_advantage(batch.advantage))
            return self.learner.minimize(learner, loss, batch, key)

        learner, metrics = sweep(
            state.learner,
            rollout,
            key,
            minimize,
            epochs=agent.epochs,
            minibatches=agent.minibatches,
        )
        # lambda grows by 1.5 where the policy moved too far, and shrinks where it hardly moved.
        pi = self.policy(learner, rollout.observation)
        kl = rollout.policy.kl(pi).mean()
        kl_coefficient = update_kl_coefficient(
            state.kl_coefficient, kl, agent.kl_target, factor=1.5
        )
        metrics = {**metrics, "kl": kl, "penalty": kl_coefficient}
        return State(learner, state.actors, kl_coefficient), metrics

    # Tests

    def play_tests(self, variables: Any, moments: Any, key: jax.Array) -> tuple[jax.Array, Any]:
        """Metres `[tracks]` of the policy's mean actions on the test tracks, and all states."""

        def act(observation: jax.Array, key: jax.Array) -> jax.Array:
            return self.policy(variables, normalize(moments, observation)).mode()

        assert self.test_body is not None
        return play_tracks(self.test_body, act, key)

    def test(self, state: State, key: jax.Array) -> tuple[jax.Array, Any]:
        """`play_tests` of a state, which may lie on several devices."""
        variables = self.eval_variables(state), state.actors.moments
        return self._play_tests(*jax.device_get(variables), key)

    def evaluate(self, state: State, key: jax.Array) -> dict[str, float]:
        """Metres on each kind of terrain, the mean over its tracks."""
        if self.test_body is None:
            return {}
        tests = self.config.eval
        metres = np.asarray(self.test(state, key)[0])
        means = metres.reshape(-1, tests.tracks).mean(axis=1)
        return {
            f"distance/{name}": float(mean)
            for name, mean in zip(tests.terrains, means, strict=True)
        }


def main(experiment: DistributedPPO, config: ConfigDict, workdir: Path) -> dict[str, float]:
    state, numbers = training.run(experiment, config, workdir)
    if experiment.test_body is not None and jax.process_index() == 0:
        film(experiment, state, workdir / "walker.gif")
    return numbers


def film(experiment: DistributedPPO, state: State, path: Path) -> None:
    """Films the first track of each terrain of obstacles, as far as the body came."""
    config = experiment.config
    played = experiment.test(state, jax.random.key(config.seed))
    first_tracks = {
        name: i * config.eval.tracks
        for i, (name, (kinds, _)) in enumerate(config.eval.terrains.items())
        if kinds
    }
    save_film(path, *drawn(experiment, played, first_tracks))


def drawn(experiment: DistributedPPO, played: Any, chosen: Mapping[str, int]) -> Any:
    """What films are made of: bodies, grounds, their grain and captions of some test tracks.

    Args:
      experiment: whose body it is.
      played: from `DistributedPPO.test`.
      chosen: name -> number of the track.
    """
    body, (metres, states) = experiment.test_body, played
    assert body is not None
    tracks = list(chosen.values())
    # Every second state: those of a track are drawn up to its episode's end.
    states = jax.device_get(jax.tree.map(lambda x: x[::2, np.array(tracks)], states))
    ends = states.time[-1] // 2 + 1
    films = [
        body.limbs(jax.tree.map(lambda x, i=i, end=end: x[:end, i], states))
        for i, end in enumerate(ends)
    ]
    middle = body.tracks.heights.shape[1] // 2
    grounds = [body.tracks.heights[track, middle] for track in tracks]
    captions = [f"{name}: {metres[track]:.0f} m" for name, track in chosen.items()]
    return films, grounds, CELL, captions


def demo(experiment: DistributedPPO, state: State) -> Demo:
    if experiment.test_body is None:
        raise UserError("a probe has no body to be watched")
    tests = experiment.config.eval
    terrains = list(tests.terrains)

    @functools.cache
    def play() -> Any:
        return experiment.test(state, jax.random.key(0))

    def run(terrain: str, track: int) -> dict[str, Any]:
        number = terrains.index(terrain) * tests.tracks + track
        film = film_frames(*drawn(experiment, play(), {terrain: number}))
        return {"film": film, "metres": float(play()[0][number])}

    return Demo(
        title="Watch it walk",
        says="A body that was paid for coming forward, on ground that it has never trained on.",
        inputs={
            "terrain": Choice("terrain", terrains, terrains[0]),
            "track": Number("which track of it", 0, 0, tests.tracks - 1),
        },
        outputs={
            "film": Film("the body from the side", FPS),
            "metres": Number("how far it came, in metres", 0, -math.inf, math.inf),
        },
        run=run,
        examples=[{"terrain": name} for name in terrains],
    )


def claims(results: Results) -> list[Claim]:
    """Metres on test tracks. The paper shows curves of rewards; it has no numbers for these."""
    if "curriculum" not in results.arms:  # one body alone
        return []
    how: dict[str, Any] = {"paper": "", "rule": "interval", "digits": 1}
    unseen = results["distance/unseen"]
    rows = []
    if "flat" in results.arms:
        rows += [
            unseen.above(
                "curriculum",
                "flat",
                by=8.0,
                claim="varied terrain, not flat ground: metres on unseen obstacles",
                **how,
            ),
            results["distance/steps"].above(
                "curriculum",
                "flat",
                by=5.0,
                claim="the same, on a kind of obstacle that neither met",
                **how,
            ),
        ]
    if "stationary" in results.arms:
        rows += [
            unseen.above(
                "curriculum",
                "stationary",
                by=5.0,
                claim="obstacles that grow, not hard ones, where they grow: metres",
                **how,
            ),
            results["distance/hard"].above(
                "stationary",
                "curriculum",
                claim="the other way round where all are hard: metres",
                **how,
                judged=False,
            ),
        ]
    if "blind" in results.arms:
        sight = unseen.above(
            "curriculum",
            "blind",
            claim="with sight, not blind: metres on unseen obstacles",
            **how,
        )
        rows.append(sight)
    if not rows:
        rows.append(Claim("metres on unseen obstacles", "", spread(unseen["curriculum"]), None))
    return rows


if __name__ == "__main__":
    app.run()
