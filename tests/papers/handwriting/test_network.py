"""The networks against NumPy, and what depends on what in them."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from research.papers.handwriting.network import HandwritingNetwork

B, T, U, V, K, H, M = 2, 6, 4, 5, 2, 7, 3


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


@functools.cache
def made(bumps=K, layers=2):
    network = HandwritingNetwork(V, layers, H, M, bumps, kappa_bias=-0.5)
    points = jax.random.normal(jax.random.key(0), (B, T, 3))
    text = jnp.array([[0, 3, 1, 4], [2, 2, -1, -1]])
    variables = jax.jit(network.init)(jax.random.key(1), points, text)
    return network, variables, points, text


def by_numpy(params, points, text, layers=2):
    """The synthesis network, one point after another."""
    params = jax.tree.map(lambda p: np.asarray(p, np.float64), params)
    symbols = np.asarray(jax.nn.one_hot(text, V))
    cells = [(np.zeros((B, H)), np.zeros((B, H))) for _ in range(layers)]
    kappa, seen, outputs, weights = np.zeros((B, K)), np.zeros((B, V)), [], []

    def lstm(layer, read, extra):
        own, (c, h) = params[f"cells_{layer}"], cells[layer]
        gates = read @ own["input"]["kernel"] + own["input"]["bias"] + extra + h @ own["recurrent"]
        i, f, g, o = np.split(gates, 4, axis=-1)
        p = own["peepholes"]
        c = sigmoid(f + p[1] * c + 1.0) * c + sigmoid(i + p[0] * c) * np.tanh(g)
        cells[layer] = c, sigmoid(o + p[2] * c) * np.tanh(c)
        return cells[layer][1]

    for t in range(T):
        x = np.asarray(points[:, t])
        hidden = [lstm(0, x, seen @ params["from_window"])]  # w of the point before
        own = params["window"]
        alpha, beta, forward = np.split(np.exp(hidden[0] @ own["kernel"] + own["bias"]), 3, -1)
        kappa = kappa + forward
        places = np.arange(1, U + 2)
        phi = alpha[..., None] * np.exp(-beta[..., None] * (kappa[..., None] - places) ** 2)
        phi = phi.sum(1)
        seen = np.einsum("bu,buv->bv", phi[:, :U], symbols)  # w of this one
        for layer in range(1, layers):
            hidden.append(lstm(layer, np.concatenate([x, hidden[-1], seen], axis=-1), 0.0))
        read = np.concatenate(hidden, axis=-1)
        outputs.append(read @ params["output"]["kernel"] + params["output"]["bias"])
        weights.append(phi)
    return np.stack(outputs, 1), np.stack(weights, 1)


def test_the_synthesis_network_is_the_papers():
    network, variables, points, text = made(layers=3)
    reading = jax.jit(network.apply)(variables, points, text)
    outputs, weights = by_numpy(variables["params"], points, text, layers=3)
    np.testing.assert_allclose(reading.weights, weights, rtol=1e-3, atol=1e-5)
    np.testing.assert_allclose(reading.outputs, outputs, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("bumps", [K, 0])
def test_a_line_read_in_two_pieces_is_the_line_read_whole(bumps):
    """And padding after a piece changes nothing of what is kept."""
    network, variables, points, text = made(bumps)
    run = jax.jit(network.apply)
    whole = run(variables, points, text)
    first = jnp.concatenate([points[:, :4], 9.0 * jnp.ones((B, 2, 3))], axis=1)
    begun = run(variables, first, text, None, jnp.array([4, 4]))
    rest = run(variables, points[:, 4:], text, begun.state)
    np.testing.assert_allclose(rest.outputs, whole.outputs[:, 4:], atol=1e-5)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5), rest.state, whole.state)


def test_without_a_window_the_text_is_not_read():
    apart = {}
    for bumps in (0, K):
        network, variables, points, text = made(bumps)
        run = jax.jit(network.apply)
        own, other = (run(variables, points, t).outputs for t in (text, (text + 1) % V))
        apart[bumps] = jnp.abs(own - other).max()
    assert apart[0] == 0 and apart[K] > 1e-3


def test_derivatives_of_the_outputs_are_clipped():
    network, variables, points, text = made()
    clipped = HandwritingNetwork(V, 2, H, M, K, kappa_bias=-0.5, output_clip=0.5)

    def bias_gradient(network, scale):
        loss = lambda p: scale * network.apply({"params": p}, points, text).outputs.sum()  # noqa: E731
        return jax.jit(jax.grad(loss))(variables["params"])["output"]["bias"]

    np.testing.assert_allclose(bias_gradient(network, 3.0), 3.0 * B * T, rtol=1e-5)
    np.testing.assert_allclose(bias_gradient(clipped, 3.0), 0.5 * B * T, rtol=1e-5)
