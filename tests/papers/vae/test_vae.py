"""The bound, its gradients, its rivals' updates, and the paper's table."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from scipy import stats

from research import app, config
from research.core import UserError
from research.core.tree import count_parameters
from research.losses.distributions import Normal
from research.papers.vae.figures import manifold_latents
from research.report.claims import Results

ROOT = config.ROOT
script = config.load_module(ROOT / "experiments" / "vae.py")
configs = config.load_module(ROOT / "configs" / "vae.py")

BATCH = 4


def build(method="aevb", **changed):
    setting = configs.get_config("smoke")
    setting.update(method=method, batch_size=BATCH)
    setting.data.update(num_train=64, train_split="train[:64]")
    setting.model.update(latent_size=3, hidden=6)
    with setting.unlocked():
        for key, value in changed.items():
            *path, last = key.split("__")
            functools.reduce(getattr, path, setting)[last] = value
    return app.build(script, setting)


def lively(experiment, seed=0, decoder=True):
    """Parameters larger than at the start, so that everything matters."""
    params = jax.eval_shape(experiment.init, jax.random.key(seed)).learner.params
    params = optax.tree.random_like(jax.random.key(seed), params)
    return {"params": jax.tree.map(lambda p: 0.5 * p, params)}


def images(experiment):
    return jnp.array(experiment.images.train[:BATCH])


# The bound.


def linear(experiment):
    """The experiment with a decoder that is linear and Gaussian, for which log p(x) is known."""
    rng = np.random.default_rng(0)
    weights, noise = rng.normal(size=(5, 2)), 0.7
    x = rng.normal(size=(BATCH, 5))
    covariance = weights @ weights.T + noise**2 * np.eye(5)
    log_p = stats.multivariate_normal(np.zeros(5), covariance).logpdf(x)
    precision = np.eye(2) + weights.T @ weights / noise**2
    posterior_mean = x @ weights @ np.linalg.inv(precision) / noise**2

    def decode(variables, z):
        mean = z @ jnp.array(weights.T)
        return Normal(mean, jnp.full(mean.shape, 2 * np.log(noise)))

    experiment.decode = decode
    return x, log_p, posterior_mean, precision


@pytest.mark.parametrize("estimator", ["A", "B"])
def test_bound_lies_below_the_likelihood_by_the_divergence_from_the_posterior(estimator):
    experiment = build(estimator=estimator)
    x, log_p, mean, precision = linear(experiment)
    log_var = np.log(0.1) * np.ones((BATCH, 2))
    experiment.encode = lambda variables, x: Normal(jnp.array(mean + 0.2), jnp.array(log_var))
    bound = experiment.bound({}, jnp.array(x), jax.random.key(0), 40_000)
    # KL(N(m + d, S) || N(m, P^-1)).
    kl = 0.5 * (
        np.trace(0.1 * precision)
        + 0.2**2 * precision.sum()
        - 2
        - np.linalg.slogdet(0.1 * precision)[1]
    )
    assert kl > 0.1
    np.testing.assert_allclose(bound, log_p - kl, atol=0.03)
    assert (bound < log_p).all()


def test_both_estimators_agree_in_the_mean_and_b_varies_less():
    def bounds(estimator):
        experiment = build(estimator=estimator)
        variables, x = lively(experiment), images(experiment)
        keys = jax.random.split(jax.random.key(0), 2000)
        one = functools.partial(experiment.bound, variables, x, num_samples=1)
        return np.asarray(jax.jit(jax.vmap(one))(keys))

    a, b = bounds("A"), bounds("B")
    error = a.std(0) / np.sqrt(len(a))
    assert (np.abs(a.mean(0) - b.mean(0)) < 6 * error).all()
    assert (b.std(0) < 0.9 * a.std(0)).all()


def test_bound_is_a_sum_over_pixels_and_latents():
    experiment = build()
    variables, x, key = lively(experiment), images(experiment), jax.random.key(1)
    q = experiment.encode(variables, x)
    epsilon = jax.random.normal(key, (1, BATCH, 3))
    mean, std = np.asarray(q.mean, float), np.exp(np.asarray(q.log_var, float) / 2)
    z = mean + std * np.asarray(epsilon[0], float)
    y = np.asarray(experiment.decode(variables, jnp.array(z)).mean, float)
    log_p = np.sum(x * np.log(y) + (1 - x) * np.log(1 - y), -1)
    kl = -0.5 * np.sum(1 + np.log(std**2) - mean**2 - std**2, -1)
    np.testing.assert_allclose(experiment.bound(variables, x, key, 1), log_p - kl, rtol=1e-4)


def test_gradient_is_that_of_finite_differences():
    """By encoder and decoder, with the noise held fixed."""
    experiment = build()
    variables, batch = lively(experiment), {"image": images(experiment)}
    flat, rebuild = jax.flatten_util.ravel_pytree(variables)
    loss = jax.jit(lambda flat: experiment.loss(rebuild(flat), batch, jax.random.key(2))[0])
    gradient = jax.grad(loss)(flat)
    direction = jax.random.normal(jax.random.key(3), flat.shape) / np.sqrt(flat.size)
    difference = (loss(flat + 0.01 * direction) - loss(flat - 0.01 * direction)) / 0.02
    np.testing.assert_allclose(gradient @ direction, difference, rtol=5e-3)


def test_prior_is_on_the_decoder_alone_over_the_number_of_images():
    experiment = build()
    variables = lively(experiment)
    squares = sum(float((p**2).sum()) for p in jax.tree.leaves(variables["params"]["decoder"]))
    expected = 0.5 * squares / 64
    np.testing.assert_allclose(experiment.negative_log_prior(variables), expected, rtol=1e-5)
    batch, key = {"image": images(experiment)}, jax.random.key(0)
    loss, aux = experiment.loss(variables, batch, key)
    bound = experiment.bound(variables, batch["image"], key, 1).mean()
    np.testing.assert_allclose(loss, -bound + expected, rtol=1e-5)
    np.testing.assert_allclose(aux.metrics["bound"], bound, rtol=1e-5)


def test_the_update_is_adagrads():
    experiment = build()
    params, squares = np.array([1.0, -2.0, 0.5]), np.zeros(3)
    state = experiment.learner.tx.init(jnp.array(params))
    found = jnp.array(params)
    for t in range(4):
        gradient = np.array([0.3, -5.0, 1e-2]) * (t + 1)
        updates, state = experiment.learner.tx.update(jnp.array(gradient), state, found)
        found = optax.apply_updates(found, updates)
        squares += gradient**2
        params = params - experiment.config.learning_rate * gradient / np.sqrt(squares)
    np.testing.assert_allclose(found, params, rtol=1e-4)


# The rivals.


def gradients(experiment, variables, x, num):
    """Gradients of the loss by encoder and decoder, mean and deviation over `num` draws."""

    def one(key):
        found = jax.grad(lambda v: experiment.loss(v, {"image": x}, key)[0])(variables)["params"]
        return {part: jax.flatten_util.ravel_pytree(tree)[0] for part, tree in found.items()}

    found = jax.jit(jax.vmap(one))(jax.random.split(jax.random.key(5), num))
    return {part: (g.mean(0), g.std(0)) for part, g in found.items()}


def test_score_function_has_the_same_gradient_and_far_more_variance():
    ours, rival = build(), build("score_function")
    variables, x = lively(ours), images(ours)
    expected, found = gradients(ours, variables, x, 1000), gradients(rival, variables, x, 4000)
    for part in ("encoder", "decoder"):
        (mean, deviation), (rival_mean, rival_deviation) = expected[part], found[part]
        error = np.sqrt(deviation**2 / 1000 + rival_deviation**2 / 4000) + 1e-6
        assert np.abs((rival_mean - mean) / error).max() < 6
    deviations = [np.linalg.norm(of["encoder"][1]) for of in (expected, found)]
    assert deviations[1] > 3 * deviations[0]
    assert np.linalg.norm(expected["encoder"][0]) > deviations[1] / np.sqrt(4000)


def test_wake_sleep_teaches_the_decoder_awake_and_the_encoder_asleep():
    experiment = build("wake_sleep")
    variables, x, key = lively(experiment), images(experiment), jax.random.key(4)
    found = jax.grad(lambda v: experiment.loss(v, {"image": x}, key)[0])(variables)
    keys = jax.random.split(key, 3)
    z = experiment.encode(variables, x).sample(keys[0], (1,))
    dream_z = jax.random.normal(keys[1], (BATCH, 3))
    dream_x = experiment.decode(variables, dream_z).sample(keys[2])
    assert set(np.unique(dream_x)) == {0, 1}

    def wake(decoder):
        v = {"params": {**variables["params"], "decoder": decoder}}
        theta = sum(jnp.sum(p**2) for p in jax.tree.leaves(decoder))
        return -experiment.decode(v, z).log_prob(x).mean() + theta / 128

    def sleep(encoder):
        v = {"params": {**variables["params"], "encoder": encoder}}
        return -experiment.encode(v, dream_x).log_prob(dream_z).mean()

    for part, phase in (("decoder", wake), ("encoder", sleep)):
        expected = jax.grad(phase)(variables["params"][part])
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5),
            found["params"][part],
            expected,
        )


def test_monte_carlo_em_samples_the_posterior_and_updates_five_times():
    experiment = build("mcem", mcem__num_updates=2)
    state = experiment.init(jax.random.key(0))
    rows = jnp.array([5, 1, 40, 7])
    batch = {"image": jnp.array(experiment.images.train[rows]), "index": rows}
    after, metrics = jax.jit(experiment.step)(state, batch, 0, jax.random.key(1))
    moved = np.flatnonzero(np.any(after.chains["z"] != state.chains["z"], axis=1))
    assert set(moved) <= set(rows.tolist()) and len(moved) > 0
    # Adagrad's first step is of one rate each way, so two are 1 + 1/sqrt(2) rates at most.
    first, second = (s.learner.params["decoder"]["mean"]["bias"] for s in (state, after))
    rate = experiment.config.learning_rate
    assert np.abs(second - first).max() > 1.5 * rate
    # The gradient of the last update is that of log p(x, z) at the chain's new place.
    z = after.chains["z"][rows]
    variables = {"params": state.learner.params}
    loss = experiment.loss(variables, {**batch, "z": z}, jax.random.key(0))[0]
    p = experiment.decode(variables, z)
    expected = p.log_prob(batch["image"]) + stats.norm.logpdf(z).sum(-1)
    prior = experiment.negative_log_prior(variables)
    np.testing.assert_allclose(loss, -expected.mean() + prior, rtol=1e-5)
    assert 0 <= metrics["acceptance"] <= 1
    assert experiment.per_step["images"] == BATCH * (2 + experiment.config.mcem.num_leapfrog + 1)


def test_chains_of_monte_carlo_em_find_the_posterior():
    experiment = build("mcem", mcem__num_leapfrog=10)
    x, _, mean, precision = linear(experiment)
    experiment.learner = dataclasses.replace(experiment.learner, tx=optax.set_to_zero())
    experiment.loss = lambda variables, batch, key: (
        0.0 * sum(jnp.sum(p) for p in jax.tree.leaves(variables)),
        script.Aux({}),
    )
    state = experiment.init(jax.random.key(0))
    chains = {"z": jnp.zeros((64, 2)), "step_size": jnp.asarray(0.3)}
    batch = {"image": jnp.array(x), "index": jnp.arange(BATCH)}

    def body(state, key):
        state, metrics = experiment.step(state, batch, 0, key)
        return state, (state.chains["z"][:BATCH], metrics["acceptance"])

    keys = jax.random.split(jax.random.key(1), 3000)
    _, (z, acceptance) = jax.jit(lambda s: jax.lax.scan(body, s, keys))(
        state.replace(chains=chains)
    )
    np.testing.assert_allclose(z[200:].mean(0), mean, atol=0.06)
    np.testing.assert_allclose(np.cov(z[200:, 0].T), np.linalg.inv(precision), atol=0.03)
    assert abs(acceptance[200:].mean() - 0.9) < 0.03


def test_full_variational_bayes_has_a_divergence_for_every_weight():
    experiment = build("full_vb")
    state = jax.jit(experiment.init)(jax.random.key(0))
    params = state.learner.params
    assert jax.tree.map(jnp.shape, params["decoder"]) == jax.tree.map(
        jnp.shape, params["decoder_log_var"]
    )
    # Nearly certain weights: the bound is that of AEVB, and the divergence is its closed form.
    variables = lively(build())["params"]
    log_vars = jax.tree.map(lambda p: jnp.full_like(p, -30.0), variables["decoder"])
    batch = {"image": images(experiment)}
    found, aux = experiment.loss(
        {"params": {**variables, "decoder_log_var": log_vars}}, batch, jax.random.key(0)
    )
    kl = sum(
        0.5 * float(np.sum(np.asarray(m) ** 2 + np.exp(-30.0) - 1 + 30.0))
        for m in jax.tree.leaves(variables["decoder"])
    )
    np.testing.assert_allclose(aux.metrics["kl_theta"], kl / 64, rtol=1e-4)
    np.testing.assert_allclose(found, -aux.metrics["bound"] + kl / 64, rtol=1e-4)
    means = [
        build().bound({"params": variables}, batch["image"], jax.random.key(i), 1).mean()
        for i in range(30)
    ]
    assert abs(aux.metrics["bound"] - np.mean(means)) < 6 * np.std(means)

    def bound(log_vars):
        drawn = {"params": {**variables, "decoder_log_var": log_vars}}
        return experiment.loss(drawn, batch, jax.random.key(0))[1].metrics["bound"]

    # Uncertain weights cost likelihood, and the bound says by how much.
    slopes = jax.jit(jax.grad(bound))(jax.tree.map(lambda p: jnp.full_like(p, -2.0), log_vars))
    assert all(float(jnp.abs(slope).max()) > 1e-6 for slope in jax.tree.leaves(slopes))


# Evaluation.


def test_noise_of_the_evaluation_differs_from_image_to_image_and_not_by_batch():
    experiment = build(eval__batch_size=7)
    state = jax.jit(experiment.init)(jax.random.key(0))
    state = state.replace(learner=state.learner.replace(params=lively(experiment)["params"]))
    x = np.repeat(experiment.images.test[:1], 20, 0)
    bounds, kl = jax.jit(experiment.test_bounds)(
        {"params": state.learner.params}, {"image": x, "index": np.arange(20)}
    )
    assert len(np.unique(bounds)) == 20 and kl.shape == (20, 3)
    found = experiment.bounds_of(state, x)
    np.testing.assert_allclose(found["bound"], bounds.mean(), rtol=1e-5)
    assert found["active_latents"] == 3


def test_marginal_likelihood_lies_above_the_bound():
    experiment = build(eval__hmc_samples=60, eval__num_weights=3000, eval__hmc_burn_in=60)
    params = lively(experiment)["params"]
    state = script.State(experiment.learner.init(jax.random.key(0), jnp.zeros((1, 256))))
    state = state.replace(learner=state.learner.replace(params=params))
    x = experiment.images.test[:6]
    marginals, bound = experiment.marginals_of(state, x), experiment.bounds_of(state, x)["bound"]
    assert marginals["marginal_by_importance"] > bound
    assert abs(marginals["marginal"] - marginals["marginal_by_importance"]) < 0.5


def test_manifold_covers_the_prior_evenly():
    z = np.asarray(manifold_latents(10))
    across = stats.norm.cdf(z[:, 0]).reshape(10, 10)
    np.testing.assert_allclose(across, np.tile(np.arange(0.05, 1, 0.1), (10, 1)), atol=1e-5)
    up = stats.norm.cdf(z[:, 1]).reshape(10, 10)
    np.testing.assert_allclose(up[:, 0], np.arange(0.95, 0, -0.1), atol=1e-5)


# The paper's table.


@pytest.mark.parametrize(
    ("variant", "values"),
    [
        # Section 5: 500 hidden units for MNIST, 200 for Frey Face; M = 100, L = 1; appendix C.
        ("paper", ("mnist", 28, 28, 500, 20, "bernoulli")),
        ("frey", ("frey_face", 28, 20, 200, 20, "gaussian")),
    ],
)
def test_the_papers_table(variant, values):
    setting = configs.get_config(variant)
    data, model = setting.data, setting.model
    found = (data.name, data.height, data.width, model.hidden, model.latent_size, model.likelihood)
    assert found == values
    assert (setting.batch_size, setting.num_samples, model.init_std) == (100, 1, 0.01)
    assert setting.learning_rate in (0.01, 0.02, 0.1) and model.activation == "tanh"
    state = jax.eval_shape(app.build(script, setting).init, jax.random.key(0))
    count = sum(count_parameters(state).values())
    assert count == script.PAPER.parameters[setting.published_as]
    assert variant != "paper" or (count == 815_824 and setting.total_images == 100_000_000)


def test_figure_3_has_three_latents_and_a_hundred_hidden_units():
    setting = configs.get_config("marginal")
    for overrides in setting.arms.values():
        assert overrides["model.latent_size"] == 3 and overrides["model.hidden"] == 100
    assert (setting.mcem.num_leapfrog, setting.mcem.num_updates) == (10, 5)
    assert (setting.eval.hmc_samples, setting.eval.hmc_leapfrogs) == (50, 4)
    sizes = {o.get("data.num_train", setting.data.num_train) for o in setting.arms.values()}
    assert sizes == {1000, 50_000}


# What is refused, and what it does for a person.


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"model__latent_size": 5, "eval__marginal_images": 4}, "fewer than 5 latents"),
        ({"method": "mcem", "batch_size": 3}, "num_train is a multiple of batch_size"),
        ({"method": "em"}, "method"),
        ({"estimator": "C"}, "estimator"),
    ],
)
def test_refusals(changed, words):
    with pytest.raises(UserError, match=words):
        build(**changed)


def test_demo_reconstructs_and_walks():
    experiment = build()
    state = jax.jit(experiment.init)(jax.random.key(0))
    state = state.replace(learner=state.learner.replace(params=lively(experiment)["params"]))
    demo = script.demo(experiment, state)
    given = demo.defaults()
    first = demo.run(**given)["picture"]
    assert first.dtype == np.uint8 and first.ndim == 2
    other_draws = demo.run(**{**given, "number": 1})["picture"]
    size = first.shape[1] // 11
    assert (first[:, : 2 * size] == other_draws[:, : 2 * size]).all()  # the image and its mean
    assert (first[:, 2 * size :] != other_draws[:, 2 * size :]).any()
    walk = demo.run(**{**given, "what": "walk", "first": 0, "last": 3})["picture"]
    assert (walk[:, :size] == first[:, :size]).all()
    with pytest.raises(UserError, match="what is drawn"):
        demo.run(**{**given, "what": "manifold"})


def test_without_an_encoder_the_demo_draws_samples():
    experiment = build("mcem")
    demo = script.demo(experiment, jax.jit(experiment.init)(jax.random.key(0)))
    assert demo.defaults()["what"] == "samples" and np.ptp(demo.run(**demo.defaults())["picture"])


MEASURED = {
    "test/bound": {
        "aevb_10": -104.0,
        "wake_sleep_10": -107.0,
        "score_function_10": -110.0,
        "aevb_200": -104.2,
    },
    "overfitting": {"aevb_10": 1.5, "aevb_200": 1.5},
    "test/marginal_by_importance": {
        "marginal_aevb": -103.0,
        "marginal_wake_sleep": -106.0,
        "marginal_mcem": -110.0,
    },
    "test/estimates_apart": {"marginal_aevb": 0.1},
}


def results(**changed):
    arms = {}
    for metric, values in MEASURED.items():
        for arm, value in {**values, **changed.get(metric.split("/")[-1], {})}.items():
            arms.setdefault(arm, {})[metric] = np.full(3, value)
    for numbers in arms.values():
        for name, value in configs.get_config().required.items():
            numbers[f"required/{name}"] = np.full(3, value)
    return Results(arms)


@pytest.mark.parametrize(
    ("changed", "fails"),
    [
        ({}, set()),
        ({"bound": {"aevb_10": -140.0, "aevb_200": -140.0}}, {0, 1}),  # the bound's sign, its sums
        ({"bound": {"wake_sleep_10": -104.1}}, {0}),
        ({"bound": {"score_function_10": -104.1}}, {1}),  # its gradient goes through z after all
        ({"overfitting": {"aevb_10": 9.0}}, {2}),
        ({"bound": {"aevb_200": -109.0}}, {3}),
        ({"overfitting": {"aevb_200": 9.0}}, {4}),
        ({"marginal_by_importance": {"marginal_wake_sleep": -102.0}}, {5}),
        ({"marginal_by_importance": {"marginal_mcem": -102.0}}, {6}),
        ({"estimates_apart": {"marginal_aevb": 4.0}}, {7}),
    ],
)
def test_claims_fail_where_the_idea_is_broken(changed, fails):
    verdicts = [claim.holds for claim in script.claims(results(**changed))]
    assert {i for i, holds in enumerate(verdicts) if not holds} == fails
