import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from research.core.learner import Aux, Learner

KEY = jax.random.key(0)
X = jax.random.normal(jax.random.key(1), (8, 3))


class Linear(nn.Module):
    @nn.compact
    def __call__(self, x):
        return nn.Dense(1, use_bias=False)(x)[:, 0]


class Counting(nn.Module):
    """Keeps how often it was called and the mean of what it saw last."""

    @nn.compact
    def __call__(self, x):
        calls = self.variable("stats", "calls", jnp.zeros, ())
        mean = self.variable("stats", "mean", jnp.zeros, ())
        if not self.is_initializing():
            calls.value = calls.value + 1
            mean.value = x.mean()
        return nn.Dense(1)(x)[:, 0]


def learner(tx=None, model=None, **kwargs):
    return Learner(model or Linear(), tx or optax.sgd(0.1), **kwargs)


def squared(learner):
    def loss(variables, batch, key):
        return jnp.mean((learner.apply(variables, batch) - batch.sum(-1)) ** 2), Aux()

    return loss


def kernel(state):
    return np.asarray(state.params["Dense_0"]["kernel"])


def test_one_step_is_the_gradient_of_the_loss():
    one = learner()
    state = one.init(KEY, X)
    w, x = kernel(state)[:, 0], np.asarray(X)
    residual = x @ w - x.sum(-1)
    gradient = 2 * x.T @ residual / len(x)
    new, metrics = one.minimize(state, squared(one), X, KEY)
    np.testing.assert_allclose(kernel(new)[:, 0], w - 0.1 * gradient, rtol=1e-5)
    np.testing.assert_allclose(metrics["loss"], np.mean(residual**2), rtol=1e-5)
    np.testing.assert_allclose(metrics["grad_norm"], np.linalg.norm(gradient), rtol=1e-5)


def test_gradients_from_elsewhere():
    one = learner()
    state = one.init(KEY, X)
    loss = lambda params: squared(one)({"params": params}, X, KEY)[0]  # noqa: E731
    new, metrics = one.apply_gradients(state, jax.grad(loss)(state.params))
    expected, same = one.minimize(state, squared(one), X, KEY)
    np.testing.assert_allclose(kernel(new), kernel(expected), rtol=1e-6)
    np.testing.assert_allclose(metrics["grad_norm"], same["grad_norm"], rtol=1e-6)


@pytest.mark.parametrize("parts", [2, 4, 8])
def test_micro_batches_equal_the_whole_batch(parts):
    whole, split = learner(), learner(accumulate=parts)
    state = whole.init(KEY, X)
    first, expected = whole.minimize(state, squared(whole), X, KEY)
    second, metrics = split.minimize(state, squared(split), X, KEY)
    np.testing.assert_allclose(kernel(first), kernel(second), rtol=1e-5)
    for name in expected:
        np.testing.assert_allclose(metrics[name], expected[name], rtol=1e-5, err_msg=name)


def test_micro_batches_count_by_their_weight():
    """A loss per token: the mean is over all tokens of the batch, wherever they lie."""
    mask = jnp.array([1, 1, 1, 0, 1, 0, 0, 0.0])

    def loss(one):
        def function(variables, batch, key):
            x, mask = batch
            errors = (one.apply(variables, x) - 1.0) ** 2 * mask
            return errors.sum() / mask.sum(), Aux({"seen": mask.sum()}, weight=mask.sum())

        return function

    whole, split = learner(), learner(accumulate=2)
    state = whole.init(KEY, X)
    first, expected = whole.minimize(state, loss(whole), (X, mask), KEY)
    second, metrics = split.minimize(state, loss(split), (X, mask), KEY)
    np.testing.assert_allclose(kernel(first), kernel(second), rtol=1e-5)
    np.testing.assert_allclose(metrics["loss"], expected["loss"], rtol=1e-5)


def test_micro_batches_have_keys_of_their_own():
    def loss(variables, batch, key):
        return learner().apply(variables, batch).mean(), Aux({"noise": jax.random.normal(key)})

    noise = {}
    for parts in (2, 4):
        one = learner(accumulate=parts)
        _, metrics = one.minimize(one.init(KEY, X), loss, X, KEY)
        noise[parts] = float(metrics["noise"])
        draws = [jax.random.normal(key) for key in jax.random.split(KEY, parts)]
        np.testing.assert_allclose(noise[parts], np.mean(draws), rtol=1e-5)


@pytest.mark.parametrize("parts", [1, 4])
def test_other_collections_pass_from_one_micro_batch_to_the_next(parts):
    one = learner(model=Counting(), accumulate=parts)
    state = one.init(KEY, X)

    def loss(variables, batch, key):
        y, updated = one.model.apply(variables, batch, mutable=["stats"])
        return (y**2).mean(), Aux(variables=updated)

    new, _ = one.minimize(state, loss, X, KEY)
    assert float(new.variables["stats"]["calls"]) == parts
    last = X[parts - 1 :: parts]
    np.testing.assert_allclose(new.variables["stats"]["mean"], last.mean(), rtol=1e-6)


@pytest.mark.parametrize(("limit", "clips"), [(1e-3, True), (1e3, False)])
def test_clipping_by_the_global_norm(limit, clips):
    plain, clipped = learner(), learner(max_grad_norm=limit)
    state = plain.init(KEY, X)
    free, metrics = plain.minimize(state, squared(plain), X, KEY)
    held, same = clipped.minimize(state, squared(clipped), X, KEY)
    step, clipped_step = kernel(free) - kernel(state), kernel(held) - kernel(state)
    assert float(metrics["grad_norm"]) == float(same["grad_norm"])  # of before clipping
    if clips:
        np.testing.assert_allclose(np.linalg.norm(clipped_step), 0.1 * limit, rtol=2e-3)
        cosine = np.vdot(step, clipped_step) / np.linalg.norm(step) / np.linalg.norm(clipped_step)
        np.testing.assert_allclose(cosine, 1.0, rtol=1e-4)
    else:
        np.testing.assert_array_equal(step, clipped_step)


def test_moving_average():
    one = learner(ema_decay=0.75)
    state = one.init(KEY, X)
    expected = kernel(state)
    for _ in range(4):
        state, _ = one.minimize(state, squared(one), X, KEY)
        expected = 0.75 * expected + 0.25 * kernel(state)
    np.testing.assert_allclose(state.ema["params"]["Dense_0"]["kernel"], expected, rtol=1e-5)
    np.testing.assert_array_equal(
        one.eval_variables(state)["params"]["Dense_0"]["kernel"],
        state.ema["params"]["Dense_0"]["kernel"],
    )
    without = learner().init(KEY, X)
    assert without.ema is None
    assert learner().eval_variables(without)["params"] is without.params


class Normalized(nn.Module):
    @nn.compact
    def __call__(self, x):
        return nn.Dense(1)(nn.BatchNorm(use_running_average=False, momentum=0.0)(x))[:, 0]


def test_batch_statistics_are_averaged_with_the_parameters():
    """Those of the newest weights do not belong to the averaged ones."""
    one = learner(model=Normalized(), ema_decay=0.5)
    state = one.init(KEY, X)

    def loss_fn(variables, batch, key):
        y, updated = one.apply(variables, batch, mutable=["batch_stats"])
        return jnp.mean(y**2), Aux({}, updated)

    expected = state.variables["batch_stats"]["BatchNorm_0"]["mean"]
    for i in range(3):
        batch = X + i
        state, _ = one.minimize(state, loss_fn, batch, KEY)
        expected = 0.5 * expected + 0.5 * batch.mean(0)
    found = one.eval_variables(state)["batch_stats"]["BatchNorm_0"]["mean"]
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    assert np.abs(found - state.variables["batch_stats"]["BatchNorm_0"]["mean"]).max() > 0.1


@pytest.mark.parametrize("parts", [1, 4])
def test_extra_arrays_come_back_row_for_row(parts):
    one = learner(accumulate=parts)
    state = one.init(KEY, X)

    def loss_fn(variables, batch, key):
        y = one.apply(variables, batch)
        return jnp.mean(y**2), Aux(extra={"row": batch.sum(-1)})

    _, metrics, extra = one.minimize_with_extra(state, loss_fn, X, KEY)
    np.testing.assert_allclose(extra["row"], X.sum(-1), rtol=1e-6)
    assert "row" not in metrics


def test_hyperparameters_are_set_by_name():
    one = learner(optax.chain(optax.clip(1.0), optax.inject_hyperparams(optax.sgd)(0.5)))
    state = one.init(KEY, X)
    still = one.set_hyperparams(state, learning_rate=0.0)
    moved, _ = one.minimize(still, squared(one), X, KEY)
    np.testing.assert_array_equal(kernel(moved), kernel(state))
    with pytest.raises(KeyError):
        one.set_hyperparams(state, learning_rte=0.1)


def test_the_average_starts_in_buffers_of_its_own():
    state = jax.jit(learner(ema_decay=0.9).init)(KEY, X)
    pointers = [leaf.unsafe_buffer_pointer() for leaf in jax.tree.leaves((state.params, state.ema))]
    assert len(set(pointers)) == len(pointers)


def test_mixed_precision_computes_in_bfloat16_and_keeps_float32():
    seen = []

    class Half(nn.Module):
        @nn.compact
        def __call__(self, x):
            y = nn.Dense(1, dtype=jnp.bfloat16)(x)
            seen.append(y.dtype)
            return y[:, 0].astype(jnp.float32)

    one = learner(optax.adam(1e-3), Half(), ema_decay=0.9)
    state = one.init(KEY, X)
    new, metrics = one.minimize(state, squared(one), X, KEY)
    assert set(seen) == {jnp.dtype(jnp.bfloat16)}
    floats = [x for x in jax.tree.leaves((new, metrics)) if jnp.issubdtype(x.dtype, jnp.floating)]
    assert {x.dtype for x in floats} == {jnp.dtype(jnp.float32)}


def test_apply_takes_a_state_or_variables():
    one = learner()
    state = one.init(KEY, X)
    np.testing.assert_array_equal(
        one.apply(state, X), one.apply({"params": state.params, **state.variables}, X)
    )
