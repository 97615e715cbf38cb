"""Dense classifiers against plain formulas."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from research.core.errors import UserError
from research.models.dense_classifier import (
    DenseClassifier,
    RadialBasisClassifier,
    radial_losses,
)

X = np.random.default_rng(0).uniform(size=(5, 4, 4, 1)).astype(np.float32)


def test_two_classes_are_logistic_regression():
    model = DenseClassifier(2)
    variables = model.init(jax.random.key(0), X)
    w, b = (variables["params"]["logistic"][name] for name in ("kernel", "bias"))
    z = X.reshape(5, -1) @ w[:, 0] + b
    logits = model.apply(variables, X)[0]
    np.testing.assert_allclose(jax.nn.softmax(logits)[:, 1], jax.nn.sigmoid(z), rtol=1e-5)


def test_maxout_network_is_its_layers_one_after_the_other():
    model = DenseClassifier(3, (6, 7), "maxout", 2, dropout=0.5, input_dropout=0.2)
    variables = model.init(jax.random.key(0), X)
    p = variables["params"]
    h = X.reshape(5, -1)
    for i, width in enumerate((6, 7), 1):
        pieces = h @ p[f"hidden{i}"]["pieces"]["kernel"] + p[f"hidden{i}"]["pieces"]["bias"]
        h = np.asarray(pieces).reshape(5, width, 2).max(-1)
    expected = h @ p["softmax"]["kernel"] + p["softmax"]["bias"]
    logits, looks = model.apply(variables, X)
    np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(looks["hidden"][1], h, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("start", [1, 2])
def test_the_rest_of_the_network_begins_after_a_hidden_layer(start):
    model = DenseClassifier(3, (6, 7))
    variables = model.init(jax.random.key(0), X)
    logits, looks = model.apply(variables, X)
    rest, _ = model.apply(variables, looks["hidden"][start - 1], start=start)
    np.testing.assert_allclose(rest, logits, rtol=1e-5)


def test_dropout_acts_on_input_and_hidden_layers_in_training_alone():
    model = DenseClassifier(3, (40,), dropout=0.5, input_dropout=0.2)
    variables = model.init(jax.random.key(0), X)
    run = lambda **options: model.apply(variables, X, **options)[0]  # noqa: E731
    keys = [{"dropout": jax.random.key(i)} for i in (1, 2)]
    first, second = (run(train=True, rngs=key) for key in keys)
    assert np.abs(first - second).max() > 1e-3
    np.testing.assert_array_equal(run(rngs=keys[0]), run())


def test_uniform_weights_stay_in_their_bounds():
    model = DenseClassifier(3, (50,), "maxout", 2, uniform_init=0.005)
    params = model.init(jax.random.key(0), X)["params"]
    for kernel in (params["hidden1"]["pieces"]["kernel"], params["softmax"]["kernel"]):
        assert -0.005 <= kernel.min() < -0.004 and 0.004 < kernel.max() <= 0.005


def test_unknown_units_are_refused():
    with pytest.raises(UserError, match="units"):
        DenseClassifier(3, (4,), "tanh").init(jax.random.key(0), X)


def test_radial_units_are_certain_at_their_centres_alone():
    model = RadialBasisClassifier(3, precision=0.5)
    variables = model.init(jax.random.key(0), X)
    rng = np.random.default_rng(1)
    centres, logs = rng.normal(size=(2, 3, 16)).astype(np.float32)
    variables = {"params": {"centres": centres, "log_precision": logs}}
    found = model.apply(variables, X)[0]
    x = X.reshape(5, 16)
    for k in range(3):
        expected = -np.einsum("bi,i->b", (x - centres[k]) ** 2, np.exp(logs[k]))
        np.testing.assert_allclose(found[:, k], expected, rtol=1e-4)
    at_centre = model.apply(variables, jnp.asarray(centres).reshape(3, 4, 4, 1))[0]
    np.testing.assert_allclose(np.exp(np.diagonal(at_centre)), 1.0)
    far = model.apply(variables, X + 100)[0]
    np.testing.assert_allclose(np.exp(far), 0.0, atol=1e-30)


def test_radial_losses_are_cross_entropies_of_each_class():
    p = np.array([[0.9, 0.2, 0.01], [0.3, 0.4, 0.5]])
    labels = jnp.array([0, 2])
    expected = [
        -np.log(0.9) - np.log(0.8) - np.log(0.99),
        -np.log(0.5) - np.log(0.7) - np.log(0.6),
    ]
    found = radial_losses(jnp.log(jnp.asarray(p)), labels)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    gradient = jax.grad(lambda logs: radial_losses(logs, labels).sum())(jnp.zeros((2, 3)))
    assert np.isfinite(gradient).all()
