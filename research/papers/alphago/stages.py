"""The stages of AlphaGo (2016), each an experiment, and their run one after the other."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from research.core import Aux, Experiment, Learner, LearnerState, Source
from research.core.errors import check_choice
from research.models.alphago import PolicyNetwork, ValueNetwork
from research.papers.alphago import policy_games
from research.papers.alphago.mixed_search import MixedSearch, Mixture
from research.papers.alphago.pipeline import (
    Labelled,
    PositionSource,
    expert_positions,
    unpack,
    value_positions,
)
from research.papers.alphago.players import MatchSettings
from research.papers.alphago.policy_games import PointPolicy
from research.papers.alphago.policy_gradient import PolicyGradient, PolicyLoss, PoolSettings
from research.papers.alphago.sgf_games import SgfSource
from research.rl import matches
from research.rl.envs import board_games
from research.rl.envs.go import Go
from research.rl.envs.go_features import NUM_PLANES
from research.rl.tree_search import TreeSearch

_ROWS_AT_ONCE = 8_192  # positions that a network judges together
NO_GAMES = (
    "there are no games to learn from: say --config.alphago.sgf_folder=FOLDER, with SGF files of "
    "people's games (the papers' are from u-go.net), or take :pipeline, which imitates a search"
)
HELD_OUT = 10  # of every so many of an expert's games one is not learned from


@dataclasses.dataclass(frozen=True)
class StageSettings:
    """The keys of `config.alphago`; the paper's values stand in `:alphago`.

    Attributes:
      stage: which one is built by itself: "policy", "reinforce" or "value".
      sgf_folder: of people's games; "" for those of an expert.
      filters, layers, value_hidden: of the networks.
      expert_batches: of games of the expert.
      policy_steps, batch_size, policy_rate: of the supervised policy.
      halve_every: updates after which the rates of both supervised stages are halved; 0 for never.
      reinforce_steps, reinforce_rate: of the reinforced one.
      value_positions: positions to learn values from.
      value_steps, value_batch_size, value_rate: of the value network.
      longest_start: U is uniform over 1 to this.
      prior_temperature, c_puct, threshold: of the search that mixes values and rollouts.
      mixing: lambda.
    """

    stage: str
    sgf_folder: str
    filters: int
    layers: int
    value_hidden: int
    expert_batches: int
    policy_steps: int
    batch_size: int
    policy_rate: float
    halve_every: int
    reinforce_steps: int
    reinforce_rate: float
    value_positions: int
    value_steps: int
    value_batch_size: int
    value_rate: float
    longest_start: int
    prior_temperature: float
    c_puct: float
    threshold: int
    mixing: float


class Losses(NamedTuple):
    """The objectives of the stages.

    Attributes:
      imitation: `(logits [B, P], actions [B]) -> loss`.
      reinforce: `PolicyLoss`.
      outcome: `(v [B], z [B]) -> loss`.
    """

    imitation: Callable[[jax.Array, jax.Array], jax.Array]
    reinforce: PolicyLoss
    outcome: Callable[[jax.Array, jax.Array], jax.Array]


class PositionStage(Experiment):
    """A network that learns from labelled positions, each as it looks after a random symmetry.

    Args:
      go: the rules.
      learner: of the network.
      planes: that it sees.
      source: of the positions.
      num_steps: updates.
    """

    def __init__(self, go: Go, learner: Learner, planes: int, source: Source, num_steps: int):
        self.go, self.learner, self.planes, self.source = go, learner, planes, source
        self.num_steps = num_steps
        self.per_step = {"positions": source.spec["action"].shape[0]}
        self._apply = jax.jit(learner.apply)

    def init(self, key: jax.Array) -> LearnerState:
        return self.learner.init(key, jnp.zeros((1, *self.go.shape, self.planes)))

    def loss(self, variables: Any, batch: dict, key: jax.Array) -> tuple[jax.Array, Aux]:
        raise NotImplementedError

    def step(self, state: LearnerState, batch: dict, t: jax.Array, key: jax.Array) -> Any:
        return self.learner.minimize(state, self.loss, batch, key)

    def outputs(self, state: LearnerState, positions: Labelled) -> np.ndarray:
        """What the network says of positions."""
        parts = []
        for start in range(0, len(positions.action), _ROWS_AT_ONCE):
            rows = positions.planes[start : start + _ROWS_AT_ONCE]
            planes = unpack(self.go, rows)[..., : self.planes]
            parts.append(np.asarray(self._apply(state, jnp.asarray(planes, jnp.float32))))
        return np.concatenate(parts)


class SupervisedPolicy(PositionStage):
    """Stage 1: p_sigma(a|s) learns moves."""

    source: PositionSource | SgfSource  # type: ignore[assignment]

    def __init__(self, go: Go, settings: StageSettings, objective: Any, seed: int, missing: str):
        self.objective, size = objective, settings.batch_size
        source: PositionSource | SgfSource = PositionSource(go, size, seed, missing)
        if settings.sgf_folder:
            source = SgfSource(go, Path(settings.sgf_folder), size, seed)
        learner = Learner(
            PolicyNetwork(settings.filters, settings.layers),
            halving_sgd(settings.policy_rate, settings.halve_every),
        )
        super().__init__(go, learner, NUM_PLANES, source, settings.policy_steps)

    def loss(self, variables: Any, batch: dict, key: jax.Array) -> tuple[jax.Array, Aux]:
        planes, action = turn_positions(self.go, batch, key)
        logits = self.learner.apply(variables, planes[..., :NUM_PLANES])
        accuracy = (logits.argmax(axis=1) == action).mean()
        return self.objective(logits, action), Aux({"accuracy": accuracy})

    def accuracy(self, state: LearnerState, test: Labelled) -> float:
        """Share of moves that are the most probable ones."""
        return float((self.outputs(state, test).argmax(axis=1) == test.action).mean())


class OutcomeRegression(PositionStage):
    """Stage 3: v_theta(s) learns the outcomes of games that p_rho plays from s on."""

    source: PositionSource

    def __init__(self, go: Go, settings: StageSettings, objective: Any, seed: int, missing: str):
        self.objective = objective
        learner = Learner(
            ValueNetwork(settings.filters, settings.layers, settings.value_hidden),
            halving_sgd(settings.value_rate, settings.halve_every),
        )
        source = PositionSource(go, settings.value_batch_size, seed, missing)
        super().__init__(go, learner, NUM_PLANES + 1, source, settings.value_steps)

    def loss(self, variables: Any, batch: dict, key: jax.Array) -> tuple[jax.Array, Aux]:
        planes, _ = turn_positions(self.go, batch, key)
        v = self.learner.apply(variables, planes)
        return self.objective(v, batch["outcome"]), Aux()

    def error(self, state: LearnerState, positions: Labelled) -> float:
        """Mean squared error, of outcomes of -1 and 1."""
        return float(((self.outputs(state, positions) - positions.outcome) ** 2).mean())


class Stages:
    """Makes the experiments of the stages.

    Args:
      go: the rules.
      settings: of the networks and their training.
      pool: of the games of the second stage.
      losses: of the three stages.
      seed: of the positions' order.
      has_expert: whether there is somebody to imitate where there are no games of people.
    """

    def __init__(
        self,
        go: Go,
        settings: StageSettings,
        pool: PoolSettings,
        losses: Losses,
        *,
        seed: int,
        has_expert: bool,
    ):
        self.go, self.settings, self.pool = go, settings, pool
        self.losses, self.seed = losses, seed
        self.missing = "" if has_expert or settings.sgf_folder else NO_GAMES

    def policy(self) -> SupervisedPolicy:
        return SupervisedPolicy(
            self.go, self.settings, self.losses.imitation, self.seed, self.missing
        )

    def reinforce(self) -> PolicyGradient:
        """Stage 2: p_rho begins as p_sigma, with 0 as the baseline."""
        settings = self.settings
        network = PolicyNetwork(settings.filters, settings.layers)
        policy = PointPolicy(self.go, Learner(network, optax.sgd(settings.reinforce_rate)))
        return PolicyGradient(policy, self.pool, self.losses.reinforce, settings.reinforce_steps)

    def value(self) -> OutcomeRegression:
        return OutcomeRegression(
            self.go, self.settings, self.losses.outcome, self.seed, self.missing
        )

    def build(self, name: str) -> Experiment:
        """A stage by itself.

        Raises:
          UserError: there is none of that name.
        """
        stages = {"policy": self.policy, "reinforce": self.reinforce, "value": self.value}
        check_choice("alphago.stage", name, stages)
        return stages[name]()


class Expert(NamedTuple):
    """Whose games are imitated where there are none of people.

    Attributes:
      search, variables: a search, and what it is given.
      explore_plies: of a game, in which its moves are drawn; then the most visited one is played.
    """

    search: TreeSearch
    variables: Any
    explore_plies: int


Run = Callable[..., Any]  # (experiment, folder's name, what it begins with) -> final state


def train_stages(
    stages: Stages,
    run: Run,
    expert: Expert | None,
    *,
    tests: MatchSettings,
    simulations: int,
    games: int,
) -> dict[str, float]:
    """Trains all stages one after the other, and measures each; at last the mixed search.

    Args:
      stages: what is trained.
      run: `(experiment, name) -> state` of a training, or with what it begins with.
      expert: whose games are imitated; None for people's.
      tests: openings of the matches.
      simulations: of the mixed search.
      games: that are played together.
    """
    settings, go = stages.settings, stages.go
    keys = iter(jax.random.split(jax.random.key(stages.seed), 16))
    policy, sl, numbers = imitate(stages, run, expert, games, next(keys))

    rl = stages.reinforce()
    rho = rl.learner.eval_variables(run(rl, "reinforce", sl.params).learner)
    sigma = policy.learner.eval_variables(sl)
    openings = matches.random_openings(
        go, jax.random.key(tests.seed), tests.openings, tests.opening_plies
    )
    numbers |= policy_games.compare(rl.policy, rho, sigma, openings, next(keys))

    one, whole, test = value_positions(
        go,
        functools.partial(policy_games.move, rl.policy, sigma),
        functools.partial(policy_games.move, rl.policy, rho),
        wanted=settings.value_positions,
        longest_start=settings.longest_start,
        count=games,
        key=next(keys),
    )
    for name, positions in (("complete", whole), ("one", one)):
        value = stages.value()
        value.source.labelled = positions
        theta = run(value, f"value_{name}")
        numbers[f"mse/{name}_train"] = value.error(theta, positions)
        numbers[f"mse/{name}_test"] = value.error(theta, test)

    mixed = MixedSearch(
        go,
        policy.learner,
        value.learner,
        temperature=settings.prior_temperature,
        simulations=simulations,
        c_puct=settings.c_puct,
        threshold=settings.threshold,
    )
    match = jax.jit(functools.partial(matches.play_match, go, mixed.choose, mixed.choose))
    networks = sigma, value.learner.eval_variables(theta)
    for name, other in (("values", 0.0), ("rollouts", 1.0)):
        first, second = (Mixture(*networks, jnp.float32(x)) for x in (settings.mixing, other))
        points = match((first, second), openings, next(keys))
        numbers[f"lambda/{name}"] = matches.summarize(jax.device_get(points)).mean
    return numbers


def imitate(
    stages: Stages, run: Run, expert: Expert | None, games: int, key: jax.Array
) -> tuple[SupervisedPolicy, LearnerState, dict[str, float]]:
    """Stage 1; a tenth of the games is held out."""
    policy = stages.policy()
    if isinstance(policy.source, SgfSource):
        state = run(policy, "policy")
        test = policy.source.test_positions()
        return policy, state, {"policy/accuracy": policy.accuracy(state, test)}
    assert expert is not None
    positions = expert_positions(
        policy.go,
        expert.search,
        expert.variables,
        explore_plies=expert.explore_plies,
        batches=stages.settings.expert_batches,
        count=games,
        key=key,
    )
    held_out = positions.game % HELD_OUT == 0
    policy.source.labelled = jax.tree.map(lambda x: x[~held_out], positions)
    state = run(policy, "policy")
    test = jax.tree.map(lambda x: x[held_out], positions)
    numbers = {
        "policy/accuracy": policy.accuracy(state, test),
        "policy/positions": float((~held_out).sum()),
    }
    return policy, state, numbers


def turn_positions(go: Go, batch: dict, key: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Planes and moves of a batch as they look after a random symmetry each."""
    symmetry = board_games.draw_symmetries(go, key, len(batch["action"]))
    planes = board_games.turn_planes(go, batch["planes"].astype(jnp.float32), symmetry)
    moved = jnp.asarray(np.argsort(go.action_symmetries, axis=1))[symmetry, batch["action"]]
    return planes, moved


def halving_sgd(rate: float, every: int) -> optax.GradientTransformation:
    """Plain gradient descent whose rate is halved every so many updates; 0 for never."""
    if not every:
        return optax.sgd(rate)
    return optax.sgd(optax.exponential_decay(rate, every, 0.5, staircase=True))
