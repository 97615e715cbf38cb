"""Actor and critic of DDPG: counts, first values, where the action enters, normalization."""

import math

import jax
import jax.numpy as jnp
import numpy as np

from research.models.deterministic_actor_critic import Actor, Critic

KEY = jax.random.key(0)
X, ACTION = jax.random.normal(jax.random.key(1), (64, 3)), jnp.full((64, 1), 0.5)


def count(variables):
    return sum(math.prod(leaf.shape) for leaf in jax.tree.leaves(variables["params"]))


def test_parameters_and_the_layer_of_the_action():
    actor = jax.eval_shape(lambda: Actor(1).init(KEY, X, train=False))
    critic = jax.eval_shape(lambda: Critic().init(KEY, X, ACTION, train=False))
    assert count(actor) == 4 * 400 + 401 * 300 + 301
    assert count(critic) == 4 * 400 + 402 * 300 + 301
    assert critic["params"]["Dense_1"]["kernel"].shape == (401, 300)
    first = jax.eval_shape(lambda: Critic(action_layer=0).init(KEY, X, ACTION, train=False))
    assert first["params"]["Dense_0"]["kernel"].shape == (4, 400)


def test_begins_near_zero():
    variables = Actor(1).init(KEY, X, train=False)
    for name, layer in variables["params"].items():
        fan_in = layer["kernel"].shape[0]
        bound = 3e-3 if name == "last" else fan_in**-0.5
        assert 0.8 * bound < jnp.abs(layer["kernel"]).max() <= bound
        assert jnp.abs(layer["bias"]).max() <= bound
    action, seen = Actor(1).apply(variables, X, train=False)
    assert jnp.abs(action).max() < 0.1
    np.testing.assert_allclose(action, jnp.tanh(seen["preactivation"]))


def test_batch_normalization_is_of_all_that_comes_before_the_action():
    variables = Critic(normalization="batch").init(KEY, X, ACTION, train=False)
    # The observation, and the layer before the action.
    sizes = [s["mean"].shape for s in variables["batch_stats"].values()]
    assert sizes == [(3,), (400,)]

    def value(x):
        return Critic(normalization="batch").apply(
            variables, x, ACTION, train=True, mutable=["batch_stats"]
        )[0][0]

    # Units of the observation make no difference.
    np.testing.assert_allclose(value(X), value(100 * X + 7), atol=1e-5)
    stats = Actor(1, normalization="batch").init(KEY, X, train=False)["batch_stats"]
    assert [s["mean"].shape for s in stats.values()] == [(3,), (400,), (300,)]


def test_layer_normalization_is_of_the_hidden_layers():
    variables = Actor(1, normalization="layer").init(KEY, X, train=False)
    assert "batch_stats" not in variables
    assert {k for k in variables["params"] if "Norm" in k} == {"LayerNorm_0", "LayerNorm_1"}
