"""Q networks: published counts, initialisation, dueling identity and gradients."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from research.models.dqn import DQN


def shapes(model, size=(84, 84, 4)):
    return jax.eval_shape(
        lambda k: model.init(k, jnp.zeros((1, *size), jnp.uint8), train=False), jax.random.key(0)
    )


def count(tree):
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(tree))


@pytest.mark.parametrize(
    ("variant", "actions", "parameters"),
    [
        ("2013", 4, 677_172),
        ("2013", 6, 677_686),
        ("2013", 18, 680_770),
        ("2015", 4, 1_686_180),
        ("2015", 6, 1_687_206),
        ("2015", 18, 1_693_362),
    ],
)
def test_parameters(variant, actions, parameters):
    assert count(shapes(DQN(actions, variant))) == parameters


def test_minatar_parameters():
    hidden = 8 * 8 * 16 * 128 + 128
    assert count(shapes(DQN(3, "minatar"), (10, 10, 4))) == 9 * 4 * 16 + 16 + hidden + 3 * 129


def test_dueling_adds_a_stream():
    """Two hidden layers instead of one, and one value beside the advantages."""
    plain, dueling = count(shapes(DQN(6))), count(shapes(DQN(6, dueling=True)))
    assert dueling - plain == 1_606_144 + 513


@pytest.mark.parametrize("dueling", [False, True])
def test_initialised_uniformly_within_one_over_root_fan_in(dueling):
    model = DQN(6, "2013", dueling)
    params = model.init(jax.random.key(0), jnp.zeros((1, 84, 84, 4), jnp.uint8), train=False)
    for layer in params["params"].values():
        kernel, bias = layer["kernel"], layer["bias"]
        bound = (kernel.size / kernel.shape[-1]) ** -0.5
        assert 0.8 * bound < jnp.abs(kernel).max() <= bound
        assert jnp.abs(bias).max() <= bound
        if kernel.size > 1000:
            assert float(kernel.std()) == pytest.approx(bound / 3**0.5, rel=0.1)
        if bias.size > 100:
            assert float(bias.std()) == pytest.approx(bound / 3**0.5, rel=0.2)


def minatar(dueling=True):
    model = DQN(3, "minatar", dueling)
    x = jax.random.randint(jax.random.key(1), (5, 10, 10, 4), 0, 256).astype(jnp.uint8)
    return model, model.init(jax.random.key(0), x, train=False), x


def test_advantages_have_no_mean():
    """Q - V has mean zero over actions; a shift of all advantages changes nothing."""
    model, variables, x = minatar()
    q = model.apply(variables, x, train=False)[0]
    shifted = jax.tree.map(lambda p: p, variables)
    shifted["params"]["advantage"]["bias"] += 7.0
    np.testing.assert_allclose(model.apply(shifted, x, train=False)[0], q, atol=1e-4)
    shifted["params"]["value"]["bias"] += 2.0
    np.testing.assert_allclose(model.apply(shifted, x, train=False)[0], q + 2, atol=1e-4)


def test_every_parameter_gets_a_gradient():
    for dueling in (False, True):
        model, variables, x = minatar(dueling)

        def loss(variables, model=model, x=x):
            return (model.apply(variables, x, train=True)[0] ** 2).sum()

        assert all(jnp.abs(g).max() > 0 for g in jax.tree.leaves(jax.grad(loss)(variables)))


def test_dueling_scales_the_gradient_into_the_trunk_alone():
    model, variables, x = minatar()

    def gradient(variables):
        return jax.grad(lambda v: model.apply(v, x, train=True)[0].sum())(variables)["params"]

    ours = gradient(variables)
    features = model.apply(variables, x, train=True)[1]["features"]

    def head(params, features):
        h = {k: (v["kernel"], v["bias"]) for k, v in params.items()}

        def dense(x, name):
            return x @ h[name][0] + h[name][1]

        value = dense(jax.nn.relu(dense(features, "value_hidden")), "value")
        advantage = dense(jax.nn.relu(dense(features, "advantage_hidden")), "advantage")
        return (value + advantage - advantage.mean(-1, keepdims=True)).sum()

    by_head, by_features = jax.grad(head, (0, 1))(variables["params"], features)
    for name in ("value_hidden", "advantage_hidden", "value", "advantage"):
        np.testing.assert_allclose(ours[name]["kernel"], by_head[name]["kernel"], atol=1e-4)
    # The gradient of the convolution's bias is that of its outputs where they are not cut off.
    outputs = (by_features * (features > 0)).reshape(5, 8, 8, 16).sum((0, 1, 2))
    np.testing.assert_allclose(ours["Conv_0"]["bias"], outputs / 2**0.5, rtol=1e-3, atol=1e-4)


def test_inputs_are_scaled_and_stored_small():
    model, variables, x = minatar(False)
    as_float = x.astype(jnp.float32)
    np.testing.assert_allclose(
        model.apply(variables, x, train=False)[0],
        model.apply(variables, as_float, train=False)[0],
        rtol=1e-5,
    )
    assert float(model.apply(variables, x, train=False)[1]["features"].max()) < 10


def test_mixed_precision_keeps_parameters_and_values_in_float32():
    model = DQN(3, "minatar", dtype="bfloat16")
    x = jnp.ones((2, 10, 10, 4), jnp.uint8)
    variables = model.init(jax.random.key(0), x, train=False)
    assert all(leaf.dtype == jnp.float32 for leaf in jax.tree.leaves(variables))
    assert model.apply(variables, x, train=False)[0].dtype == jnp.float32
