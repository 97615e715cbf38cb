"""The encoder and both decoders against NumPy, and what they refuse."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from research.core import UserError
from research.losses.distributions import Bernoulli
from research.models.vae import VAE
from tests.plain_layers import float64


def dense(params, x):
    return x @ params["kernel"] + params["bias"]


@pytest.mark.parametrize("likelihood", ["bernoulli", "gaussian"])
def test_networks_in_numpy(likelihood):
    net = VAE(6, 2, 5, likelihood, init_std=0.5)
    x = np.random.default_rng(0).uniform(size=(3, 6))
    variables = net.init(jax.random.key(0), jnp.array(x))
    params = float64(variables["params"])

    q = net.apply(variables, jnp.array(x), method="encode")
    h = np.tanh(dense(params["encoder"]["hidden_layer"], x))
    np.testing.assert_allclose(q.mean, dense(params["encoder"]["mean"], h), rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(
        q.log_var, dense(params["encoder"]["log_var"], h), rtol=1e-4, atol=1e-6
    )

    z = np.random.default_rng(1).normal(size=(3, 2))
    p = net.apply(variables, jnp.array(z), method="decode")
    h = np.tanh(dense(params["decoder"]["hidden_layer"], z))
    y = 1 / (1 + np.exp(-dense(params["decoder"]["mean"], h)))  # in 0 to 1 by either likelihood
    np.testing.assert_allclose(p.mean, y, rtol=1e-4, atol=1e-6)
    if likelihood == "gaussian":
        np.testing.assert_allclose(
            p.log_var, dense(params["decoder"]["log_var"], h), rtol=1e-4, atol=1e-6
        )
    else:
        assert isinstance(p, Bernoulli) and "log_var" not in params["decoder"]


def test_softplus_where_it_is_asked_for():
    net = VAE(3, 2, 4, activation="softplus", init_std=1.0)
    x = jnp.array([[0.2, 0.5, 0.9]])
    variables = net.init(jax.random.key(0), x)
    params = float64(variables["params"])["encoder"]
    h = np.log1p(np.exp(dense(params["hidden_layer"], np.asarray(x, np.float64))))
    q = net.apply(variables, x, method="encode")
    np.testing.assert_allclose(q.mean, dense(params["mean"], h), rtol=1e-4, atol=1e-6)


def test_every_parameter_starts_with_the_given_deviation():
    net = VAE(100, 20, 300, init_std=0.01)
    params = net.init(jax.random.key(0), jnp.zeros((1, 100)))["params"]
    for leaf in jax.tree.leaves(params):
        if leaf.size > 90:
            np.testing.assert_allclose(jnp.std(leaf), 0.01, rtol=0.3)
    assert jnp.abs(params["encoder"]["mean"]["bias"]).max() > 0  # biases too


def test_a_model_that_only_decodes_has_no_encoder():
    params = VAE(6, 2, 5).init(jax.random.key(0), jnp.zeros((1, 2)), method="decode")["params"]
    assert set(params) == {"decoder"}


@pytest.mark.parametrize("setting", [{"likelihood": "poisson"}, {"activation": "sine"}])
def test_unknown_words_are_refused(setting):
    with pytest.raises(UserError, match=r"model\."):
        VAE(6, 2, 5, **setting).init(jax.random.key(0), jnp.zeros((1, 6)))
