"""Factors against per-example gradients and exact Fisher matrices; steps against dense solves."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from research.nn.conv import Conv
from research.optim import kfac
from research.optim.kfac import KFAC, Factors

B = 5


class Net(nn.Module):
    """A convolution, a dense layer and one without a bias."""

    strides: int = 2
    padding: str = "VALID"

    @nn.compact
    def __call__(self, x):
        x = nn.tanh(Conv(3, (2, 3), self.strides, self.padding, name="conv")(x))
        x = nn.tanh(nn.Dense(4, name="dense")(x.reshape(len(x), -1)))
        return nn.Dense(2, use_bias=False, name="last")(x)


def made(net, seed=0):
    x = jax.random.normal(jax.random.key(seed), (B, 6, 7, 2))
    params = net.init(jax.random.key(1), x)["params"]
    return x, params


def likelihood(logits):
    """Of classes drawn beforehand."""
    return jax.nn.log_softmax(logits)[jnp.arange(len(logits)), jnp.arange(len(logits)) % 2]


def found(net, params, x):
    return kfac.statistics(lambda: net.apply({"params": params}, x), likelihood)


@pytest.mark.parametrize(("strides", "padding"), [(1, "VALID"), (2, "SAME")])
def test_factors_are_those_of_examples_one_by_one(strides, padding):
    """The gradient of an example is the sum over places of inputs times gradients of outputs: the
    inputs written out in NumPy, the gradients by the bias of a single place."""
    net = Net(strides, padding)
    x, params = made(net)
    factors = found(net, params, x)
    one = jax.vmap(
        jax.grad(lambda p, x, i: jax.nn.log_softmax(net.apply({"params": p}, x[None]))[0, i]),
        (None, 0, 0),
    )(params, x, jnp.arange(B) % 2)

    hidden = net.apply({"params": params}, x, capture_intermediates=True)[1]["intermediates"]
    of_dense = np.tanh(hidden["conv"]["__call__"][0]).reshape(B, -1)
    a = np.concatenate([of_dense, np.ones((B, 1))], axis=1)
    g = np.asarray(one["dense"]["bias"])
    np.testing.assert_allclose(factors["dense"].inputs, a.T @ a / B, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(factors["dense"].outputs, g.T @ g / B, rtol=1e-3, atol=1e-7)
    np.testing.assert_allclose(one["dense"]["kernel"], a[:, :-1, None] * g[:, None], atol=1e-5)
    last = np.tanh(hidden["dense"]["__call__"][0])
    np.testing.assert_allclose(factors["last"].inputs, last.T @ last / B, rtol=1e-4, atol=1e-6)

    # The convolution: perturb its output in one place of one example at a time.
    out = hidden["conv"]["__call__"][0]

    def after(out):
        h = nn.tanh(
            jnp.tanh(out).reshape(B, -1) @ params["dense"]["kernel"] + params["dense"]["bias"]
        )
        return likelihood(h @ params["last"]["kernel"]).sum()

    g = np.asarray(jax.grad(after)(out)).reshape(-1, 3)
    np.testing.assert_allclose(factors["conv"].outputs, g.T @ g / len(g), rtol=1e-3, atol=1e-8)
    places = patches(np.asarray(x), (2, 3), strides, padding, out.shape[1:3])
    np.testing.assert_allclose(
        np.concatenate([places[:, :-1].reshape(-1, 12), np.ones((len(places), 1))], 1),
        places,
    )
    np.testing.assert_allclose(factors["conv"].inputs, places.T @ places / B, rtol=1e-4, atol=1e-4)
    # The order of inputs is that of the kernel: so its gradient is theirs with the outputs'.
    total = jax.tree.map(lambda x: x.sum(axis=0), one)["conv"]
    np.testing.assert_allclose(
        places.T @ g,
        np.concatenate([total["kernel"].reshape(-1, 3), total["bias"][None]]),
        rtol=1e-3,
        atol=1e-4,
    )


def patches(x, kernel, stride, padding, places):
    """Inputs of every place with a last one of 1, by loops."""
    if padding == "SAME":
        need = [
            max((p - 1) * stride + k - n, 0)
            for p, k, n in zip(places, kernel, x.shape[1:3], strict=True)
        ]
        x = np.pad(x, ((0, 0), *((n // 2, n - n // 2) for n in need), (0, 0)))
    rows = []
    for b in range(len(x)):
        for i in range(places[0]):
            for j in range(places[1]):
                top, left = i * stride, j * stride
                patch = x[b, top : top + kernel[0], left : left + kernel[1]]
                rows.append([*patch.reshape(-1), 1.0])
    return np.array(rows)


def test_product_is_the_exact_fisher_matrix_of_one_dense_layer_and_one_example():
    """Expected over the model's own classes: diag(p) - p p^T on the outputs, by many samples."""
    x = jnp.array([[0.3, -1.2, 0.7]])
    params = {
        "kernel": jnp.array([[0.5, 0.1], [0.2, -0.3], [0.4, 0.0]]),
        "bias": jnp.array([0.1, -0.1]),
    }
    model, copies = nn.Dense(2), 40_000
    many = jnp.repeat(x, copies, axis=0)
    drawn = jax.random.categorical(
        jax.random.key(0), model.apply({"params": params}, many), axis=-1
    )
    [factors] = kfac.statistics(
        lambda: model.apply({"params": params}, many),
        lambda y: jnp.take_along_axis(jax.nn.log_softmax(y), drawn[:, None], 1)[:, 0],
    ).values()

    def log_p(flat):
        return jax.nn.log_softmax(jnp.append(x[0], 1.0) @ flat.reshape(4, 2))

    flat = jnp.concatenate([params["kernel"], params["bias"][None]]).reshape(-1)
    scores = jax.jacobian(log_p)(flat)
    exact = (jnp.exp(log_p(flat))[:, None, None] * scores[:, :, None] * scores[:, None]).sum(0)
    product = np.kron(factors.inputs, factors.outputs)
    np.testing.assert_allclose(product, exact, atol=0.02 * float(abs(exact).max()))


def problem(seed=0, **settings):
    net = Net()
    x, params = made(net, seed)
    optimizer = KFAC(lambda _: jnp.float32(1.0), 1e9, momentum=0.0, **settings)
    state = optimizer.observe(optimizer.init(params), found(net, params, x))
    gradient = jax.grad(lambda p: -likelihood(net.apply({"params": p}, x)).mean())(params)
    return net, x, params, optimizer, state, gradient


def as_matrix(layer):
    kernel = layer["kernel"].reshape(-1, layer["kernel"].shape[-1])
    return np.concatenate([kernel, layer["bias"][None]]) if "bias" in layer else np.asarray(kernel)


def test_a_step_is_a_dense_solve_with_the_damped_product():
    _, _, _, optimizer, state, gradient = problem(damping=0.1)
    updates, _ = optimizer.update(gradient, state)
    for name, (a, g) in state.factors.items():
        pi = np.sqrt((np.trace(a) / len(a)) / (np.trace(g) / len(g)))
        a = a + pi * 0.1**0.5 * np.eye(len(a))
        g = g + 0.1**0.5 / pi * np.eye(len(g))
        expected = -np.linalg.solve(np.kron(a, g), as_matrix(gradient[name]).reshape(-1))
        np.testing.assert_allclose(
            as_matrix(updates[name]).reshape(-1), expected, rtol=2e-3, atol=1e-5
        )


@pytest.mark.parametrize("apart", [{}, {"dense": 5e-3}], ids=str)
def test_the_trust_region_bounds_the_quadratic_model(apart):
    delta = 1e-3
    _, _, _, _, state, gradient = problem()
    bounded = KFAC(lambda _: jnp.float32(10.0), delta, momentum=0.0, apart=apart)
    free = KFAC(lambda _: jnp.float32(1.0), 1e9, momentum=0.0)
    state = state.replace(step_size={start: jnp.float32(0) for start in ("", *apart)})
    updates, after = bounded.update(gradient, state)
    direction, _ = free.update(gradient, state)
    sizes = dict.fromkeys(("", *apart), 0.0)
    for name, factors in state.factors.items():
        pi = np.sqrt(
            (np.trace(factors.inputs) / len(factors.inputs))
            / (np.trace(factors.outputs) / len(factors.outputs))
        )
        a = factors.inputs + pi * 0.1 * np.eye(len(factors.inputs))  # damping 0.01
        g = factors.outputs + 0.1 / pi * np.eye(len(factors.outputs))
        step = as_matrix(updates[name])
        region = name if name in apart else ""
        sizes[region] += float((step * (a @ step @ g)).sum()) / 2
        np.testing.assert_allclose(
            step, as_matrix(direction[name]) * after.step_size[region], rtol=1e-3, atol=1e-7
        )
    np.testing.assert_allclose(list(sizes.values()), [delta, *apart.values()], rtol=1e-2)
    short = KFAC(lambda _: jnp.float32(1e-6), delta, apart=apart)  # never beyond the learning rate
    assert short.update(gradient, state)[1].step_size[""] == np.float32(1e-6)


def test_running_averages_and_stale_inverses():
    net, x, params, _, _, gradient = problem()
    optimizer = KFAC(lambda _: jnp.float32(1.0), 1e-3, decay=0.5, inverse_every=2)
    batches = [found(net, params, x * s) for s in (1.0, 2.0, 3.0, 4.0)]
    state, inverses = optimizer.init(params), []
    for batch in batches:
        state = optimizer.observe(state, batch)
        state = optimizer.update(gradient, state)[1]
        inverses.append(state.inverses["dense"].inputs)
    a, b, c, d = (np.asarray(batch["conv"].inputs) for batch in batches)
    # The first two count alike, then half of the weight is the newest's.
    np.testing.assert_allclose(
        state.factors["conv"].inputs, ((a + b) / 2 + c) / 4 + d / 2, rtol=1e-5
    )
    np.testing.assert_array_equal(inverses[0], inverses[1])
    np.testing.assert_array_equal(inverses[2], inverses[3])
    assert not np.array_equal(inverses[1], inverses[2])


def test_momentum_keeps_a_tenth_of_the_new_step():
    _, _, _, optimizer, state, gradient = problem()
    plain = optimizer.update(gradient, state)[0]
    heavy = KFAC(optimizer.learning_rate, 1e9, momentum=0.9)
    first, after = heavy.update(gradient, state)
    second, _ = heavy.update(gradient, after)
    for p, f, s in zip(*map(jax.tree.leaves, (plain, first, second)), strict=True):
        np.testing.assert_allclose(f, 0.1 * p, rtol=1e-4, atol=1e-8)
        np.testing.assert_allclose(s, 0.19 * p, rtol=1e-4, atol=1e-8)


def test_parameters_without_a_layer_need_a_known_curvature():
    params = {"dense": {"kernel": jnp.ones((2, 2)), "bias": jnp.ones(2)}, "log_std": jnp.ones(2)}
    with pytest.raises(ValueError, match="log_std"):
        KFAC(lambda _: 1.0, 1e9).init(params)
    optimizer = KFAC(lambda _: 1.0, 1e9, momentum=0.0, damping=0.5, known={"log_std": 2.0})
    updates, _ = optimizer.update(jax.tree.map(jnp.ones_like, params), optimizer.init(params))
    np.testing.assert_allclose(updates["log_std"], -1 / 2.5)


def test_a_layer_called_twice_is_refused():
    class Twice(nn.Module):
        @nn.compact
        def __call__(self, x):
            layer = nn.Dense(2)
            return layer(layer(x))

    x = jnp.ones((B, 2))
    variables = Twice().init(jax.random.key(0), x)
    with pytest.raises(ValueError, match="twice"):
        kfac.statistics(lambda: Twice().apply(variables, x), likelihood)


def test_an_ill_conditioned_problem_is_solved_in_a_step_where_gradients_take_thousands():
    """Linear regression, with the likelihood of variance 1: there Gauss-Newton is exact."""
    scale = jnp.array([1.0, 0.01])
    x = jax.random.normal(jax.random.key(0), (500, 2)) * scale
    y = x @ jnp.array([[3.0], [200.0]])
    model = nn.Dense(1, use_bias=False)
    params = {"kernel": jnp.zeros((2, 1))}

    def log_likelihood(out):
        noise = jax.random.normal(jax.random.key(1), out.shape)
        return -((jax.lax.stop_gradient(out) + noise - out) ** 2)[:, 0] / 2

    optimizer = KFAC(lambda _: jnp.float32(1.0), 1e9, momentum=0.0, damping=1e-12)
    state = optimizer.observe(
        optimizer.init({"layer": params}),
        {
            "layer": Factors(
                *kfac.statistics(lambda: model.apply({"params": params}, x), log_likelihood)[""]
            )
        },
    )
    gradient = {
        "layer": jax.grad(lambda p: ((model.apply({"params": p}, x) - y) ** 2).mean() / 2)(params)
    }
    step = optimizer.update(gradient, state)[0]["layer"]["kernel"]
    np.testing.assert_allclose(step[:, 0], [3.0, 200.0], rtol=0.15)  # G is known by samples
