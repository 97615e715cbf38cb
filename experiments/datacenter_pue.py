"""Machine Learning Applications for Data Center Optimization (Gao, 2014), a white paper.

Claim: a small network predicts a data center's power usage effectiveness (PUE) to 0.4 % from what
its meters read, well enough to see what each setting does to it, to find a meter that errs, and to
choose better set points.

Departures: the plant's records are private; a simulated plant stands in their place, another for
each seed, of which the effect of every setting is known. Several networks learn side by side and
make an interval of their predictions (the paper has one). The default is trained by Adam on
mini-batches; the paper's full gradients are `:paper`. The paper splits shuffled rows, so that
neighbours in time stand on both sides; an arm that is tested on the time after its training stands
beside it.
"""

from __future__ import annotations

import research.early  # answers --help at once

from pathlib import Path
from typing import Any

import flax.linen as nn
import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
import optax
from ml_collections import ConfigDict

from research import app, training
from research.core import Aux, Experiment, Learner, LearnerState, UserError
from research.core.errors import check_choice
from research.data.in_memory import ArrayBatches
from research.data.procedural import data_center
from research.data.tables import Scaling, SplitTable
from research.papers.datacenter_pue import records
from research.papers.datacenter_pue.figures import draw_predictions, draw_sensitivities
from research.report.claims import Claim, Paper, Results
from research.report.demo import Choice, Demo, Number, Text

PAPER = Paper(
    title="Machine Learning Applications for Data Center Optimization",
    authors="Jim Gao",
    year=2014,
    arxiv="",
    field="applications",
    method="shuffled",
    claim="A network of five hidden layers predicts a data center's PUE to 0.4 %, and what moves "
    "it.",
    parameters={"plant": 19 * 50 + 50 + 4 * (50 * 50 + 50) + 50 + 1},
    curves=("mae",),
)

Numbers = dict[str, float]


class State(flax.struct.PyTreeNode):
    """What a step changes: K networks, stacked, with their optimizers."""

    learner: LearnerState


class PlantNetwork(nn.Module):
    """Hidden layers of sigmoid units, and a linear output.

    Attributes:
      depth: hidden layers.
      width: units of each.
      initializer: "uniform": all weights and biases from [-1, 1]; "scaled": LeCun's normal, and
        biases of 0.
    """

    depth: int
    width: int
    initializer: str

    @nn.compact
    def __call__(self, z: jax.Array) -> jax.Array:
        """h_theta(z) `[B]`, scaled, of scaled inputs z `[B, D]`."""
        if self.initializer == "uniform":
            kernel_init = bias_init = uniform
        else:
            kernel_init, bias_init = nn.initializers.lecun_normal(), nn.initializers.zeros
        for _ in range(self.depth):
            z = nn.sigmoid(nn.Dense(self.width, kernel_init=kernel_init, bias_init=bias_init)(z))
        return nn.Dense(1, kernel_init=kernel_init, bias_init=bias_init)(z)[:, 0]


def uniform(key: jax.Array, shape: tuple[int, ...], dtype: Any = jnp.float32) -> jax.Array:
    """Weights from [-1, 1]."""
    return jax.random.uniform(key, shape, dtype, -1, 1)


class DataCenterPUE(Experiment):
    """K networks with starts of their own, which see the same batches."""

    def __init__(self, config: ConfigDict):
        check_choice("model.initializer", config.model.initializer, ("uniform", "scaled"))
        self.config = config
        data = config.data
        self.simulated = data.name == records.SIMULATED
        self.table = SplitTable(
            lambda: records.open_table(
                data.name, data.target, data.dir, data.num_rows, data.minutes, config.seed
            ),
            data.num_inputs,
            data.train_share,
            data.split,
            config.seed,
        )
        self.assets = (self.table,)
        self.m = round(data.train_share * data.num_rows)  # training rows
        model = config.model
        self.network = PlantNetwork(model.depth, model.width, model.initializer)
        self.num_steps = config.num_epochs * max(1, self.m // config.batch_size)
        self.learner = Learner(self.network, self.optimizer(), max_grad_norm=config.max_grad_norm)
        row = {
            "inputs": jax.ShapeDtypeStruct((data.num_inputs,), np.float32),
            "target": jax.ShapeDtypeStruct((), np.float32),
        }
        self.source = ArrayBatches(self.open_train, row, config.batch_size, config.seed)
        self.per_step = {"rows": config.batch_size}
        self.jit_predict = jax.jit(self.predict_scaled)
        self.jit_slopes = jax.jit(self.slopes_scaled)

    def optimizer(self) -> optax.GradientTransformation:
        """Adam with a rate that falls as a cosine; or the paper's gradient descent."""
        name, rate = self.config.optimizer.name, self.config.optimizer.learning_rate
        check_choice("optimizer.name", name, ("adam", "gradient_descent"))
        if name == "gradient_descent":
            return optax.sgd(rate)
        return optax.adam(optax.cosine_decay_schedule(rate, self.num_steps))

    def open_train(self) -> tuple[dict[str, np.ndarray], str]:
        arrays, origin = self.table.open_train()
        if (found := len(self.table.table.targets)) != self.config.data.num_rows:
            raise UserError(
                f"data.num_rows is {self.config.data.num_rows}, but {origin} has {found}; set "
                f"--config.data.num_rows={found}"
            )
        return arrays, origin

    def init(self, key: jax.Array) -> State:
        def member(key: jax.Array) -> LearnerState:
            return self.learner.init(key, jnp.zeros((1, self.config.data.num_inputs)))

        return State(jax.vmap(member)(jax.random.split(key, self.config.num_members)))

    def loss(self, variables: Any, batch: Any, key: jax.Array) -> tuple[jax.Array, Aux]:
        """J(theta) = 1/(2m) sum (h(z) - y)^2 + lambda/(2m) sum w^2, without the biases in w.

        Of a mini-batch the first term is an estimate; m is the number of training rows.
        """
        error = self.learner.apply(variables, batch["inputs"]) - batch["target"]
        squares = sum(
            jnp.sum(leaf**2) for leaf in jax.tree.leaves(variables["params"]) if leaf.ndim > 1
        )
        decay = self.config.weight_decay / (2 * self.m) * squares
        return 0.5 * jnp.mean(error**2) + decay, Aux({"squared_error": jnp.mean(error**2)})

    def step(
        self, state: State, batch: Any, t: jax.Array, key: jax.Array
    ) -> tuple[State, dict[str, jax.Array]]:
        """One update of every network."""

        def update(member: LearnerState) -> tuple[LearnerState, dict[str, jax.Array]]:
            return self.learner.minimize(member, self.loss, batch, key)

        learner, metrics = jax.vmap(update)(state.learner)
        return State(learner), jax.tree.map(jnp.mean, metrics)

    # What the networks say.

    def predict_scaled(self, learner: LearnerState, z: jax.Array) -> jax.Array:
        """h(z) `[K, N]` of scaled inputs z `[N, D]`."""
        return jax.vmap(lambda member: self.learner.apply(member, z))(learner)

    def slopes_scaled(self, learner: LearnerState, z: jax.Array) -> jax.Array:
        """Mean over rows and networks of dh/dz `[D]`."""
        total = jax.grad(lambda z: self.predict_scaled(learner, z).mean(0).sum())
        return total(z).mean(0)

    def predict_each(self, state: State, inputs: np.ndarray) -> np.ndarray:
        """Each network's prediction `[K, N]` of inputs `[N, D]`, in the target's units."""
        kept = self.table.kept
        return kept.target_scaling.undo(self.jit_predict(state.learner, kept.inputs(inputs)))

    def predict(self, state: State, inputs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation over the networks, `[N]` each, of inputs `[N, D]`."""
        members = self.predict_each(state, inputs)
        return members.mean(0), members.std(0)

    def evaluate(self, state: State, key: jax.Array) -> Numbers:
        table, test = self.table.table, self.table.split[1]
        prediction, _ = self.predict(state, table.inputs[test])
        error = np.abs(prediction - table.targets[test])
        return {"mae": float(error.mean()), "std": float(error.std())}

    def results(self, state: State) -> Numbers:
        """What the finished networks are measured by, all on test rows."""
        table, (train, test) = self.table.table, self.table.split
        inputs, targets = table.inputs[test], table.targets[test]
        prediction, deviation = self.predict(state, inputs)
        error = prediction - targets
        residual = self.predict(state, table.inputs[train])[0] - table.targets[train]
        linear = least_squares(table.inputs[train], table.targets[train], inputs)
        numbers = {
            "test/mae": float(np.abs(error).mean()),
            "test/std": float(np.abs(error).std()),
            "test/least_squares_mae": float(np.abs(linear - targets).mean()),
            "test/one_network_mae": float(
                np.abs(self.predict_each(state, inputs) - targets).mean()
            ),
            "test/in_interval": in_interval(error, deviation, residual.std()),
        }
        numbers |= relative_error(error, targets)
        numbers |= self.alarms(prediction, targets, residual.std())
        numbers |= {f"sensitivity/{name}": value for name, value in self.slopes(state).items()}
        return numbers | (self.counterfactuals(state) if self.simulated else {})

    def alarms(self, prediction: np.ndarray, targets: np.ndarray, sigma: float) -> Numbers:
        """Meters that err are found by residuals above `alarm.sigmas` deviations of training's.

        A share of the test rows gets an offset: how many of them, and of the others, alarm?
        """
        alarm = self.config.alarm
        wrong = np.random.default_rng(0).random(len(targets)) < alarm.share
        read = targets + np.where(wrong, alarm.offset * np.abs(targets).mean(), 0)
        alarmed = np.abs(read - prediction) > alarm.sigmas * sigma
        return {
            "alarm/found": float(alarmed[wrong].mean()) if wrong.any() else 0.0,
            "alarm/false": float(alarmed[~wrong].mean()),
        }

    def slopes(self, state: State) -> Numbers:
        """Change of the target, by each input's mean slope over its range (1st to 99th percentile).

        The slope where the plant is run: an input moved alone over its range, as the figure has it,
        leaves what the data shows.
        """
        kept, table = self.table.kept, self.table.table
        z = kept.inputs(table.inputs[self.table.split[1]])
        slope = np.asarray(self.jit_slopes(state.learner, z), np.float64)
        change = slope * kept.target_scaling.span * np.diff(kept.ends, axis=0)[0] / kept.inputs.span
        return dict(zip(table.names, map(float, change), strict=True))

    def counterfactuals(self, state: State) -> Numbers:
        """What the networks say would happen under other settings, beside what does happen."""
        data, test = self.config.data, self.table.split[1]
        plant = records.conditions(data.num_rows, data.minutes, self.config.seed).rows(test)
        before, true_before = data_center.operate(plant)
        predicted_before, _ = self.predict(state, before)

        _, true_warmer = data_center.operate(records.shift_set_points(plant, 3.0))
        moved = self.set_points_moved(before, 3.0)
        shift, predicted_saving = self.choose_set_points(state, before)
        _, true_chosen = data_center.operate(records.shift_set_points(plant, shift))
        fewer, true_fewer = data_center.operate(records.fewer_servers(plant, data.server_share))
        return {
            "warmer/predicted": float((self.predict(state, moved)[0] - predicted_before).mean()),
            "warmer/true": float((true_warmer - true_before).mean()),
            "saving/predicted": float(predicted_saving.mean()),
            "saving/true": float((true_before - true_chosen).mean()),
            "saving/best": float(best_saving(plant, true_before, self.shifts).mean()),
            "fewer_servers/mae": float(np.abs(self.predict(state, fewer)[0] - true_fewer).mean()),
        }

    @property
    def shifts(self) -> np.ndarray:
        """Moves of both set points that are considered, in F."""
        bound = self.config.max_shift
        return np.linspace(-bound, bound, 13)

    def set_points_moved(self, inputs: np.ndarray, shift: float) -> np.ndarray:
        """Inputs `[N, 19]` with both set points moved, and nothing else."""
        moved = inputs.copy()
        for name in records.SET_POINTS:
            moved[:, list(data_center.INPUTS).index(name)] += shift
        return moved

    def choose_set_points(self, state: State, inputs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The move of both set points with the least predicted PUE, and what it saves: `[N]` each.

        Only a saving in which the networks agree, beyond one deviation, moves anything.
        """
        members = np.stack(
            [
                self.predict_each(state, self.set_points_moved(inputs, shift))
                for shift in self.shifts
            ]
        )  # [S, K, N]
        still = members[np.abs(self.shifts).argmin()]
        saving = still - members
        sure = saving.mean(1) - saving.std(1)
        best = sure.argmax(0)
        mean = np.take_along_axis(saving.mean(1), best[None], 0)[0]
        return self.shifts[best], mean


def best_saving(
    plant: data_center.Conditions, before: np.ndarray, shifts: np.ndarray
) -> np.ndarray:
    """What the best of the moves truly saves, `[N]`."""
    after = [data_center.operate(records.shift_set_points(plant, s))[1] for s in shifts]
    return before - np.min(after, axis=0)


def least_squares(inputs: np.ndarray, targets: np.ndarray, test: np.ndarray) -> np.ndarray:
    """Predictions `[M]` of linear regression with a bias, for test inputs `[M, D]`."""
    scaling = Scaling.of(inputs)
    design, of_test = (np.c_[scaling(rows), np.ones(len(rows))] for rows in (inputs, test))
    weights = np.linalg.lstsq(design.astype(np.float64), targets.astype(np.float64), rcond=None)[0]
    return of_test @ weights


def relative_error(error: np.ndarray, targets: np.ndarray) -> Numbers:
    """Mean of |error| / target in %, of errors and targets `[N]`; {} unless all are positive."""
    if not (targets > 0).all():
        return {}
    return {"test/error_percent": float(100 * np.mean(np.abs(error) / targets))}


def in_interval(error: np.ndarray, deviation: np.ndarray, sigma: float) -> float:
    """Share of the rows within 1.96 deviations: of the networks, and of training's residuals."""
    return float(np.mean(np.abs(error) <= 1.96 * np.sqrt(deviation**2 + sigma**2)))


def main(experiment: DataCenterPUE, config: ConfigDict, workdir: Path) -> Numbers:
    state, numbers = training.run(experiment, config, workdir)
    numbers = {**numbers, **experiment.results(state)}
    if jax.process_index() == 0:
        table, test = experiment.table.table, np.sort(experiment.table.split[1])
        shown = test[: config.rows_shown]
        mean, deviation = experiment.predict(state, table.inputs[shown])
        draw_predictions(workdir / "predictions.png", table, shown, mean, deviation)
        draw_sensitivities(
            workdir / "sensitivities.png",
            experiment.table.kept,
            lambda inputs: experiment.predict(state, inputs),
        )
    return numbers


def demo(experiment: DataCenterPUE, state: State) -> Demo:
    """What a person asks of such a network: what if?"""
    kept = experiment.table.kept
    names = list(kept.names)

    def run(which: str, value: float, also: str, other: float) -> dict[str, Any]:
        typical = kept.moments["a typical moment"]
        row = typical.copy()
        for name, place in ((which, value), (also, other)):
            if name not in names:
                raise UserError(f"there is no input {name!r}; inputs: {', '.join(names)}")
            low, high = kept.ends[:, names.index(name)]
            row[names.index(name)] = low + place / 100 * (high - low)
        both = np.stack([typical, row])
        mean, deviation = experiment.predict(state, both)
        lines = [
            f"{name}: {before:.5g} -> {after:.5g}"
            for name, before, after in zip(names, *both, strict=True)
            if before != after
        ]
        said = [
            f"{kept.target} {mean[0]:.4g} at a typical moment,",
            f"{mean[1]:.4g} (networks differ by {deviation[1]:.2g}) after the change:",
            *(lines or ["nothing"]),
        ]
        return {"answer": "\n".join(said)}

    return Demo(
        title="What if? A plant's network",
        says=f"Networks have learned {kept.target} from {len(names)} readings. Begin at a typical "
        "moment and move two of them; 0 is the low end of what was seen, 100 the high end.",
        inputs={
            "which": Choice("what is changed", names, names[0]),
            "value": Number("to, in % of its range", 100, 0, 100),
            "also": Choice("what else is changed", names, names[0]),
            "other": Number("to, in % of its range", 100, 0, 100),
        },
        outputs={"answer": Text("what the networks say", lines=6)},
        run=run,
    )


def claims(results: Results) -> list[Claim]:
    arm = "shuffled"
    if arm not in results.arms:
        return []  # one setting alone
    rows = accuracy_claims(results, arm)
    if "warmer/true" in results.metrics:
        rows += plant_claims(results, arm)
    return rows


def accuracy_claims(results: Results, arm: str) -> list[Claim]:
    """What the paper says of its predictions, for any table."""
    rows = [
        results.side_by_side(arm, least_squares="test/least_squares_mae", network="test/mae").ratio(
            "least_squares",
            "network",
            2.0,
            claim="the network errs at most half as much as linear regression",
            paper="",
            digits=5,
        ),
    ]
    if "test/error_percent" not in results.metrics:  # of targets that go through 0
        return rows
    percent = results["test/error_percent"]
    rows.append(
        percent.at_most(
            arm, 0.4, claim="mean absolute error, in %", paper="0.4 % at a PUE of 1.1", digits=3
        )
    )
    if "chronological" in results.arms:
        rows.append(
            percent.at_most(
                "chronological",
                0.4,
                claim="the same on the time after training",
                paper="not reported",
                digits=3,
            )
        )
    return rows


def plant_claims(results: Results, arm: str) -> list[Claim]:
    """What can be asked of a plant whose every setting's effect is known."""
    return [
        results["test/mae"].ratio(
            "chronological",
            arm,
            1.05,
            claim="a shuffled split flatters: neighbours in time stand on both sides",
            paper="shuffled",
            digits=5,
        ),
        results["test/in_interval"].within(
            arm, 0.93, 0.97, claim="share of the rows in the networks' 95 % interval", paper=""
        ),
        *sensitivity_claims(results, arm),
        results["alarm/found"].at_least(
            arm,
            0.95,
            claim="meters that err by 5 %: share found by residuals over 4 deviations",
            paper="errors of 0.02 to 0.1 were found",
        ),
        results["alarm/false"].at_most(
            arm, 0.002, claim="share of the other rows that alarm", paper="", digits=4
        ),
        *set_point_claims(results, arm),
    ]


def sensitivity_claims(results: Results, arm: str) -> list[Claim]:
    """Signs that the physics of the plant gives."""
    return [
        results["sensitivity/chillers"].at_least(
            arm, 0.005, claim="more chillers: PUE rises", paper="rises (figure 4c)", digits=4
        ),
        results["sensitivity/towers"].at_most(
            arm, -0.005, claim="more towers at the same load: PUE falls", paper="", digits=4
        ),
        results["sensitivity/wet_bulb"].at_least(
            arm, 0.005, claim="a higher wet bulb: PUE rises", paper="rises (figure 4i)", digits=4
        ),
    ]


def set_point_claims(results: Results, arm: str) -> list[Claim]:
    """Counterfactuals against the simulated plant, which is run under the other settings."""
    return [
        results.side_by_side(arm, predicted="warmer/predicted", true="warmer/true").close(
            "predicted",
            "true",
            within=0.001,
            claim="both set points 3 F warmer: the mean change is predicted",
            paper="-0.005, predicted and observed",
            rule="seed by seed",
            pairs="a plant",
            digits=4,
        ),
        results.side_by_side(arm, best="saving/best", chosen="saving/true").ratio(
            "chosen",
            "best",
            0.6,
            claim="set points that the networks choose truly save most of what can be saved",
            paper="",
            rule="seed by seed",
            pairs="a plant",
            digits=4,
        ),
        results["fewer_servers/mae"].at_most(
            arm,
            0.004,
            claim="a fifth of the servers off: error of the predicted PUE",
            paper="-0.02 of PUE at a 40 % lower load",
            digits=4,
        ),
    ]


if __name__ == "__main__":
    app.run()
