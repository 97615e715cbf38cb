"""The script: its loss and updates, how it writes, primes and ends, its weight noise, its demo."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy import stats

from research import app, config
from research.core import UserError
from research.losses.mixture_density import PlanarMixture

SCRIPT = config.load_module(config.ROOT / "experiments" / "handwriting.py")
CONFIGS = config.load_module(config.ROOT / "configs" / "handwriting.py")


def build(**changed):
    setting = CONFIGS.get_config("smoke")
    for key, value in changed.items():
        *path, last = key.split("__")
        functools.reduce(getattr, path, setting)[last] = value
    return app.build(SCRIPT, setting)


@functools.cache
def made():
    experiment = build()
    return experiment, jax.jit(experiment.init)(jax.random.key(0))


@functools.cache
def jitted():
    """The network, and the loss of its weights without noise."""
    experiment, _ = made()
    return jax.jit(experiment.network.apply), jax.jit(experiment.loss)


def batch_of(experiment):
    return jax.tree.map(jnp.asarray, experiment.source(None))


def test_the_loss_is_the_papers():
    """-sum_t log sum_j pi_j N(x_{t+1}) - log(e where the pen is lifted, else 1 - e), by SciPy."""
    experiment, state = made()
    batch = batch_of(experiment)
    variables = experiment.variables(state)
    points, lengths = np.asarray(batch["points"]), np.asarray(batch["length"])
    inputs = np.concatenate([np.zeros((4, 1, 3)), points[:, :-1]], axis=1)  # the null vector first
    network, loss_of = jitted()
    outputs = network(variables, jnp.asarray(inputs), batch["text"]).outputs
    outputs, floor, total = np.asarray(outputs, np.float64), 0.08, 0.0
    for row in range(4):
        for t in range(lengths[row]):
            e = 1 / (1 + np.exp(outputs[row, t, 0]))
            pi, mu_1, mu_2, log_1, log_2, rho = np.split(outputs[row, t, 1:], 6)
            density, weights = 0.0, np.exp(pi) / np.exp(pi).sum()
            for j in range(2):
                s_1, s_2, r = np.exp(log_1[j]) + floor, np.exp(log_2[j]) + floor, np.tanh(rho[j])
                covariance = [[s_1**2, r * s_1 * s_2], [r * s_1 * s_2, s_2**2]]
                normal = stats.multivariate_normal([mu_1[j], mu_2[j]], covariance)
                density += weights[j] * normal.pdf(points[row, t, :2])
            total -= np.log(density) + np.log(e if points[row, t, 2] else 1 - e)
    loss, aux = loss_of(variables, batch, jax.random.key(0))
    np.testing.assert_allclose(loss, total / 4, rtol=1e-4)
    np.testing.assert_allclose(aux.metrics["nats"], total / lengths.sum(), rtol=1e-4)


def test_padding_has_no_loss():
    experiment, state = made()
    batch = batch_of(experiment)
    there = jnp.arange(44) < batch["length"][:, None]
    other = {**batch, "points": jnp.where(there[..., None], batch["points"], 7.0)}
    key = jax.random.key(0)
    losses = [jitted()[1](experiment.variables(state), b, key)[0] for b in (batch, other)]
    assert losses[0] == losses[1]


def test_updates_are_the_papers_rmsprop():
    """n, g and delta of equations 38 to 45, with clipped derivatives within the gradient."""
    rate = 4e-3
    experiment = build(
        optimizer__name="graves", optimizer__cosine=False, optimizer__learning_rate=rate
    )
    state = jax.jit(experiment.init)(jax.random.key(0))
    step = jax.jit(experiment.step)
    gradient = jax.jit(jax.grad(lambda p, b: experiment.loss({"params": p}, b, None)[0]))
    w = jax.tree.map(lambda p: np.asarray(p, np.float64), state["learner"].params)
    n, g, delta = (jax.tree.map(np.zeros_like, w) for _ in range(3))
    for t in range(3):
        batch = batch_of(experiment)
        e = gradient(jax.tree.map(jnp.float32, w), batch)
        n = jax.tree.map(lambda n, e: 0.95 * n + 0.05 * np.square(np.float64(e)), n, e)
        g = jax.tree.map(lambda g, e: 0.95 * g + 0.05 * np.float64(e), g, e)
        delta = jax.tree.map(
            lambda d, e, n, g: 0.9 * d - rate * np.float64(e) / np.sqrt(n - g**2 + 1e-4),
            *(delta, e, n, g),
        )
        w = jax.tree.map(np.add, w, delta)
        state, _ = step(state, batch, t, jax.random.key(t))
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-3, atol=2e-4),
        state["learner"].params,
        w,
    )


def test_bounds_of_derivatives_are_of_a_lines_loss():
    experiment = build(model__lstm_clip=10.0, model__output_clip=100.0)
    assert (experiment.network.lstm_clip, experiment.network.output_clip) == (2.5, 25.0)


# Writing.


def rows_of(experiment, texts, bias=0.0, prime=None):
    rows = [experiment.row_to_write(text, bias, i, prime) for i, text in enumerate(texts)]
    return {name: jnp.stack([jnp.asarray(row[name]) for row in rows]) for name in rows[0]}


def point_by_point(experiment, variables, row, steps):
    """A line of one text, with the network run from its beginning for every point."""
    count = int(row["prefix_length"])
    read = jnp.asarray(row["prefix"])[None, :count]
    text, key = jnp.asarray(row["text"])[None], jax.random.key(experiment.config.seed)
    key, points = jax.random.fold_in(key, int(row["index"])), []
    run = functools.partial(jitted()[0], variables)
    live, ended = [], False
    for t in range(steps):
        padded = jnp.zeros((1, count + steps, 3)).at[:, : read.shape[1]].set(read)
        found = run(padded, text)
        outputs = found.outputs[0, read.shape[1] - 1]
        mixture = PlanarMixture.from_outputs(outputs[1:], experiment.std_floor)
        b = float(row["bias"])
        mixture = mixture._replace(logits=mixture.logits * (1 + b), log_std=mixture.log_std - b)
        keys = jax.random.split(jax.random.fold_in(key, t), 3)
        end = jax.random.bernoulli(keys[2], 1 / (1 + jnp.exp(outputs[:1])))
        point = jnp.concatenate([mixture.sample(keys[0]), end])
        points.append(point)
        live.append(not ended)
        read = jnp.concatenate([read, point[None, None]], axis=1)
        padded = jnp.zeros((1, count + steps, 3)).at[:, : read.shape[1]].set(read)
        phi = run(padded, text).weights[0, read.shape[1] - 1]
        u = int(row["symbols"])
        ended = ended or bool(phi[u] > phi[:u].max())
    return jnp.stack(points), live


@pytest.mark.parametrize(("bias", "with_prime"), [(0.0, False), (1.5, True)])
def test_writing_is_sampling_point_by_point(bias, with_prime):
    """Also with a bias, and after a prime whose points and text come first."""
    experiment, state = made()
    variables = jax.tree.map(lambda p: 2.0 * p, experiment.variables(state))
    prime = experiment.lines.primes[1] if with_prime else None
    row = experiment.row_to_write("no o", bias, 3, prime)
    batch = jax.tree.map(lambda x: jnp.asarray(x)[None], row)
    written = experiment.jit_write(variables, batch, steps=5)
    points, live = point_by_point(experiment, variables, row, 5)
    np.testing.assert_allclose(written.points[0], points, rtol=1e-3, atol=1e-3)
    np.testing.assert_array_equal(written.live[0], live)


def test_without_a_bias_the_sampler_is_the_unbiased_one_bit_for_bit():
    experiment, state = made()
    variables = experiment.variables(state)
    rows = rows_of(experiment, ["no", "on", "nono"])
    plain = build()
    plain.predict = lambda outputs, bias: SCRIPT.Handwriting.predict(plain, outputs)
    ours = experiment.jit_write(variables, rows, steps=6)
    theirs = jax.jit(plain.write, static_argnames="steps")(variables, rows, steps=6)
    np.testing.assert_array_equal(ours.points, theirs.points)
    biased = experiment.jit_write(variables, {**rows, "bias": rows["bias"] + 2.0}, steps=6)
    assert biased.variance.mean() < 0.5 * ours.variance.mean()


def test_a_line_ends_when_the_window_leaves_its_text():
    """A window that moves by one symbol a point ends after as many points as there are letters."""
    experiment, state = made()
    variables = jax.tree.map(jnp.array, experiment.variables(state))
    window = variables["params"]["window"]
    window["kernel"] = jnp.zeros_like(window["kernel"])
    window["bias"] = jnp.zeros_like(window["bias"])
    rows = rows_of(experiment, ["no", "nono", "o"])
    written = experiment.jit_write(variables, rows, steps=6)
    # The null vector moves it to the first letter, each point by one more.
    np.testing.assert_array_equal(written.live.sum(1), [2, 4, 1])


def test_samples_do_not_depend_on_the_batch_they_are_in():
    experiment, state = made()
    rows = [experiment.row_to_write(text, 0.5, i) for i, text in enumerate(["no", "on", "nn"])]
    together = experiment.written(state, rows)
    alone = experiment.written(state, rows[1:2])
    np.testing.assert_allclose(together.points[1, :5], alone.points[0, :5], rtol=1e-4, atol=1e-4)


def test_the_strokes_of_a_prime_are_not_those_of_the_sample():
    experiment, _ = made()
    points = np.array([[[9.0, 9.0, 0.0], [1.0, 0.0, 0.0], [1.0, 0.0, 1.0], [2.0, 2.0, 0.0]]])
    written = SCRIPT.Written(points, np.array([[True, True, True, False]]), None, None)
    free, after = experiment.strokes(written, 0), experiment.strokes(written, 0, True)
    assert [len(stroke) for stroke in free] == [4] and [len(stroke) for stroke in after] == [3]
    _, std = experiment.lines.scale
    mean, _ = experiment.lines.scale
    np.testing.assert_allclose(after[0][1], np.array([1.0, 0.0]) * std + mean)


# Weight noise.


def test_weight_noise_begins_at_the_trained_network_and_has_the_description_length():
    experiment = build(weight_noise__num_steps=4)
    _, trained = made()
    before = trained["learner"].params
    state = experiment.warm_start(jax.jit(experiment.init)(jax.random.key(1)), before)
    params = state["learner"].params
    jax.tree.map(np.testing.assert_array_equal, params["mean"], before)
    np.testing.assert_allclose(jax.tree.leaves(params["log_std"])[0], np.log(0.075), rtol=1e-5)
    key, batch = jax.random.key(5), batch_of(experiment)
    loss, aux = jax.jit(experiment.loss)({"params": params}, batch, key)
    weights = SCRIPT.WeightPosterior(**params)
    plain, _ = jitted()[1]({"params": jax.jit(weights.sample)(key)}, batch, key)
    np.testing.assert_allclose(loss, plain + weights.kl_to_fitted_prior() / 16, rtol=1e-5)
    still, _ = jitted()[1]({"params": before}, batch, key)
    assert plain != still
    jax.tree.map(np.testing.assert_array_equal, experiment.variables(state)["params"], before)
    after, _ = jax.jit(experiment.step)(state, batch, 0, key)
    moved = optax.tree.sub(after["learner"].params["log_std"], params["log_std"])
    assert all(jnp.abs(leaf).max() > 0 for leaf in jax.tree.leaves(moved))


# Bad input, and the demo.


def test_letters_that_the_network_has_no_place_for_are_refused():
    with pytest.raises(UserError, match="set it to 3"):
        build(data__num_symbols=4).source.open()


def test_the_demo_refuses_what_was_never_learned():
    experiment, state = made()
    demo = SCRIPT.demo(experiment, state)
    for text in ("", "hello", "nonono"):
        with pytest.raises(UserError):
            demo.run(text=text, bias=1.0, hand="nobody", noise=0)
    found = demo.run(text="on", bias=1.0, hand="writer 2", noise=1)
    assert found["drawing"].startswith("<svg") and found["picture"].dtype == np.uint8
