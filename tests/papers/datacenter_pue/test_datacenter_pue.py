"""The network, its cost, and what it is asked for, against plain formulas."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from research import config
from research.core.errors import UserError
from research.data.procedural import data_center
from research.papers.datacenter_pue import records

FOLDER = Path(__file__).resolve().parents[3]
SCRIPT = config.load_module(FOLDER / "experiments" / "datacenter_pue.py")


def load(variant="smoke", **overrides):
    setting = config.load_config(FOLDER / "configs" / "datacenter_pue.py", variant)
    setting.update_from_flattened_dict(overrides)
    return setting


@pytest.fixture(scope="module")
def experiment():
    return SCRIPT.DataCenterPUE(load())


@pytest.fixture(scope="module")
def state(experiment):
    return experiment.init(jax.random.key(0))


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def members(state):
    """Layers [(W, b)] of each network, in float64."""
    params = jax.tree.map(lambda x: np.asarray(x, np.float64), state.learner.params)
    names = [f"Dense_{i}" for i in range(6)]
    num = len(params["Dense_0"]["bias"])
    return [[(params[n]["kernel"][k], params[n]["bias"][k]) for n in names] for k in range(num)]


def forward(layers, z):
    *hidden, (w, b) = layers
    for kernel, bias in hidden:
        z = sigmoid(z @ kernel + bias)
    return (z @ w + b)[:, 0]


def test_five_layers_of_sigmoids_and_a_line(experiment, state):
    z = np.random.default_rng(0).normal(size=(7, 19))
    found = experiment.predict_scaled(state.learner, jnp.asarray(z))
    for k, layers in enumerate(members(state)):
        np.testing.assert_allclose(found[k], forward(layers, z), rtol=2e-4, atol=2e-5)


def test_weights_begin_uniform_from_minus_one_to_one(state):
    for layers in members(state):
        values = np.concatenate([w.ravel() for layer in layers for w in layer])
        assert -1 <= values.min() < -0.99 and 0.99 < values.max() <= 1
        assert values.std() == pytest.approx(1 / np.sqrt(3), rel=0.02)
    assert not np.allclose(members(state)[0][0][0], members(state)[1][0][0]), "starts of their own"


def test_the_cost_is_half_the_squares_and_the_weights_without_biases(experiment, state):
    rng = np.random.default_rng(1)
    z, y = rng.normal(size=(6, 19)), rng.normal(size=6)
    layers = members(state)[0]
    m = 1400  # training rows of the smoke variant
    decay = 0.001 / (2 * m) * sum((w**2).sum() for w, _ in layers)
    expected = ((forward(layers, z) - y) ** 2).sum() / (2 * 6) + decay
    one = jax.tree.map(lambda x: x[0], state.learner.params)
    batch = {"inputs": jnp.asarray(z, jnp.float32), "target": jnp.asarray(y, jnp.float32)}
    loss, _ = experiment.loss({"params": one}, batch, jax.random.key(0))
    assert float(loss) == pytest.approx(expected, rel=1e-4)
    loss = float(loss) - float(decay)
    experiment_without = SCRIPT.DataCenterPUE(load(weight_decay=0.0))
    assert float(experiment_without.loss({"params": one}, batch, None)[0]) == pytest.approx(
        loss, rel=1e-3
    )


def test_gradient_descent_goes_down_the_cost():
    experiment = SCRIPT.DataCenterPUE(
        load(**{"optimizer.name": "gradient_descent", "optimizer.learning_rate": 0.25})
    )
    state = experiment.init(jax.random.key(0))
    rng = np.random.default_rng(2)
    batch = {
        "inputs": jnp.asarray(rng.normal(size=(5, 19)), jnp.float32),
        "target": jnp.asarray(rng.normal(size=5), jnp.float32),
    }
    after, _ = experiment.step(state, batch, jnp.asarray(0), jax.random.key(0))
    for k in range(2):
        params = jax.tree.map(lambda x, k=k: x[k], state.learner.params)
        grads = jax.grad(lambda p: experiment.loss({"params": p}, batch, None)[0])(params)
        expected = jax.tree.map(lambda p, g: p - 0.25 * g, params, grads)
        found = jax.tree.map(lambda x, k=k: x[k], after.learner.params)
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6), expected, found
        )


class Linear:
    """Stands for the networks: scaled predictions that are linear, with members that differ."""

    def __init__(self, weights, noise=0.0):
        self.weights, self.noise = np.asarray(weights, np.float32), noise

    def __call__(self, learner, z):
        return jnp.stack([z @ self.weights, z @ (self.weights * (1 + self.noise))])


def with_predictions(monkeypatch, experiment, weights, noise=0.0):
    linear = Linear(weights, noise)
    monkeypatch.setattr(experiment, "jit_predict", linear)
    monkeypatch.setattr(experiment, "predict_scaled", linear)
    monkeypatch.setattr(experiment, "jit_slopes", experiment.slopes_scaled)


def test_a_sensitivity_is_the_slope_times_the_range(experiment, state, monkeypatch):
    weights = np.zeros(19)
    weights[[3, 6]] = 0.5, -0.25  # of the pumps' speed and of the towers
    with_predictions(monkeypatch, experiment, weights)
    kept = experiment.table.kept
    found = experiment.slopes(state)
    rows = kept.ends[:, 3]
    z = (rows - kept.inputs.mean[3]) / kept.inputs.span[3]
    expected = 0.5 * (z[1] - z[0]) * kept.target_scaling.span
    assert found["process_pump_speed"] == pytest.approx(expected, rel=1e-4)
    assert found["towers"] < 0 and found["wet_bulb"] == pytest.approx(0, abs=1e-9)


def test_set_points_move_together_and_alone(experiment):
    inputs = np.zeros((2, 19), np.float32)
    moved = experiment.set_points_moved(inputs, 2.0)
    names = [name for i, name in enumerate(data_center.INPUTS) if (moved[:, i] == 2).all()]
    assert names == ["leaving_water_set_point", "injection_set_point"]
    assert moved.sum() == 8 and inputs.sum() == 0


@pytest.mark.parametrize(("slope", "expected"), [(1.0, -3.0), (-1.0, 3.0)])
def test_the_chosen_set_point_is_the_one_that_saves_most(
    experiment, state, monkeypatch, slope, expected
):
    weights = np.zeros(19)
    weights[list(data_center.INPUTS).index("injection_set_point")] = slope
    with_predictions(monkeypatch, experiment, weights)
    shift, saving = experiment.choose_set_points(state, experiment.table.table.inputs[:3])
    assert shift.tolist() == [expected] * 3 and (saving > 0).all()


def test_networks_that_do_not_agree_move_nothing(experiment, state, monkeypatch):
    weights = np.zeros(19)
    weights[list(data_center.INPUTS).index("injection_set_point")] = 1.0
    with_predictions(monkeypatch, experiment, weights, noise=-3.0)  # one says up, the other down
    shift, saving = experiment.choose_set_points(state, experiment.table.table.inputs[:3])
    assert shift.tolist() == [0.0] * 3 and np.allclose(saving, 0)


def test_alarms_are_residuals_of_more_than_four_deviations(experiment):
    targets = np.full(20_000, 1.1)
    error = np.random.default_rng(3).normal(0, 0.002, len(targets))
    found = experiment.alarms(targets + error, targets, 0.002)
    assert found["alarm/found"] == 1.0  # 0.055 off, 27 deviations
    assert found["alarm/false"] < 0.001  # 6e-5 of a Gaussian
    assert experiment.alarms(targets + error, targets, 0.0005)["alarm/false"] > 0.2
    assert experiment.alarms(targets + error, targets, 0.1)["alarm/found"] == 0.0


def test_the_rival_is_linear_regression():
    from sklearn.linear_model import LinearRegression

    rng = np.random.default_rng(4)
    x, test = rng.normal(5, 3, (200, 4)), rng.normal(5, 3, (10, 4))
    y = x @ [1, -2, 0.5, 3] + 7 + rng.normal(size=200)
    expected = LinearRegression().fit(x, y).predict(test)
    np.testing.assert_allclose(SCRIPT.least_squares(x, y, test), expected, rtol=1e-4)


def test_an_interval_holds_95_percent_of_gaussian_errors():
    rng = np.random.default_rng(5)
    deviation = rng.uniform(0, 2, 50_000)
    error = rng.normal(0, np.sqrt(deviation**2 + 1))
    assert SCRIPT.in_interval(error, deviation, 1.0) == pytest.approx(0.95, abs=0.005)
    assert SCRIPT.in_interval(error, 0 * deviation, 1.0) < 0.9


def test_an_error_in_percent_is_of_each_target_and_not_of_targets_that_go_through_zero():
    found = SCRIPT.relative_error(np.array([0.1, -0.3]), np.array([1.0, 2.0]))
    assert found["test/error_percent"] == pytest.approx((10 + 15) / 2)
    assert SCRIPT.relative_error(np.array([0.1, 0.1]), np.array([0.0, 2.0])) == {}


def test_counterfactuals_are_those_of_the_plant(experiment, state):
    """Of the networks' own words only «predicted» is: the rest is the plant's."""
    found = experiment.counterfactuals(state)
    test = experiment.table.split[1]
    plant = records.conditions(2000, 30.0, 0).rows(test)
    before = data_center.operate(plant)[1]
    warm = plant.replace(
        leaving_water_set_point=plant.leaving_water_set_point + 3,
        injection_set_point=plant.injection_set_point + 3,
    )
    expected = (data_center.operate(warm)[1] - before).mean()
    assert found["warmer/true"] == pytest.approx(expected, rel=1e-9)
    assert found["saving/best"] >= max(found["saving/true"], -found["warmer/true"], 0)


def test_the_paper_has_one_network_full_gradients_and_five_minutes():
    """Section 3: 184,435 records, 70 % trained on, five layers of 50, lambda 0.001."""
    paper = load("paper")
    assert (paper.data.num_rows, paper.data.minutes, paper.data.train_share) == (184_435, 5.0, 0.7)
    assert (paper.model.depth, paper.model.width, paper.weight_decay) == (5, 50, 0.001)
    assert paper.batch_size == round(0.7 * 184_435) and paper.num_members == 1
    assert paper.optimizer.name == "gradient_descent" and paper.model.initializer == "uniform"
    assert list(data_center.INPUTS)[:3] == ["it_load", "network_load", "process_pumps"]
    assert len(data_center.INPUTS) == 19


def test_another_number_of_rows_is_refused(tmp_path):
    path = tmp_path / "plant.csv"
    path.write_text("a,PUE\n" + "1,1.1\n2,1.2\n3,1.3\n4,1.4\n", encoding="utf-8")
    setting = load(
        "own", **{"data.name": f"table:{path}", "data.num_rows": 5, "data.num_inputs": 1}
    )
    with pytest.raises(UserError, match="set --config.data.num_rows=4"):
        SCRIPT.DataCenterPUE(setting).source.open()
