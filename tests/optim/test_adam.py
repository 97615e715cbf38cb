"""Adam and AdaMax against their formulas in NumPy, against optax, and where libraries differ."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from research.optim.adam import TemporalAverage, adam, adamax, falling, one_minus_power
from tests.optimizers import some_gradients, updates_of

PARAMS = {"w": np.array([1.0, -2.0, 0.5]), "b": np.array(0.3)}


def adam_by_hand(gradients, alpha, b1, b2, eps, corrected=True, decay=1.0):
    """Algorithm 1, line by line; `alpha` of the step's number t, from 1."""
    b1, b2 = (float(np.float32(b)) for b in (b1, b2))  # 1 - b2 is what float32 makes of it
    m = v = 0.0
    found = []
    for t, g in enumerate(gradients, 1):
        b1_t = b1 * decay ** (t - 1)
        m = b1_t * m + (1 - b1_t) * g
        v = b2 * v + (1 - b2) * g**2
        m_hat = m / (1 - b1**t) if corrected else m
        v_hat = v / (1 - b2**t) if corrected else v
        found.append(-alpha(t) * m_hat / (np.sqrt(v_hat) + eps))
    return found


def along(tx, gradients):
    """Updates `[T, D]` of a vector."""
    return np.stack(updates_of(tx, np.zeros(np.shape(gradients)[1:]), gradients))


def constant(alpha):
    return lambda t: alpha


@pytest.mark.parametrize("corrected", [True, False])
@pytest.mark.parametrize(("b1", "b2"), [(0.9, 0.999), (0.0, 0.9999), (0.5, 0.9)])
def test_three_steps_are_algorithm_1(b1, b2, corrected):
    gradients = np.array([[0.3, -20.0], [-0.1, 5.0], [0.7, 1e-3]])
    expected = adam_by_hand(gradients, constant(0.01), b1, b2, 1e-8, corrected)
    found = along(adam(0.01, b1, b2, bias_correction=corrected), gradients)
    np.testing.assert_allclose(found, expected, rtol=2e-5)


@pytest.mark.parametrize("scale", [1e-2, 1.0, 1e8])
@pytest.mark.parametrize(("b1", "b2"), [(0.9, 0.999), (0.0, 0.9999)])
def test_the_first_step_is_the_rate_whatever_the_scale(scale, b1, b2):
    g = scale * np.array([[0.5, -3.0]])
    for tx in (adam(0.02, b1, b2), adamax(0.02, b1, b2)):
        np.testing.assert_allclose(along(tx, g), -0.02 * np.sign(g), rtol=1e-5)


def test_without_correction_the_first_step_is_a_hundred_times_as_long():
    """(1 - b1) / sqrt(1 - b2), with b1 = 0 and b2 = 0.9999 (section 6.4)."""
    g = np.array([[0.5, -3.0]])
    found = along(adam(0.02, 0.0, 0.9999, bias_correction=False), g)
    np.testing.assert_allclose(found, -2.0 * np.sign(g), rtol=1e-4)


def test_three_steps_are_algorithm_2():
    gradients = np.array([[0.3, -20.0, 0.0], [-0.1, 5.0, 0.0], [0.7, 1e-3, -2.0]])
    m, u, expected = np.zeros(3), np.zeros(3), []
    for t, g in enumerate(gradients, 1):
        m = 0.9 * m + 0.1 * g
        u = np.maximum(0.999 * u, np.abs(g))
        step = np.divide(m, u, out=np.zeros(3), where=u > 0)
        expected.append(-0.002 / (1 - 0.9**t) * step)
    found = along(adamax(), gradients)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert found[0, 2] == 0  # a parameter without a gradient so far stays


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (adam(0.001), optax.adam(0.001)),
        (adam(0.01, 0.8, 0.99, 1e-4), optax.adam(0.01, 0.8, 0.99, 1e-4)),
        (adamax(0.002), optax.adamax(0.002)),
    ],
)
def test_a_hundred_steps_are_those_of_optax(ours, theirs):
    gradients = some_gradients(PARAMS, 100)
    found, expected = (updates_of(tx, PARAMS, gradients) for tx in (ours, theirs))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), found, expected)


# Where epsilon is added.

SMALL = np.random.default_rng(1).normal(size=(20, 3)) * 1e-4  # so that epsilon matters


def faster_order(gradients, alpha, b1, b2, eps_hat):
    """The end of section 2: alpha_t = alpha sqrt(1 - b2^t) / (1 - b1^t), sqrt(v) + eps_hat."""
    m = v = 0.0
    found = []
    for t, g in enumerate(gradients, 1):
        m, v = b1 * m + (1 - b1) * g, b2 * v + (1 - b2) * g**2
        alpha_t = alpha * np.sqrt(1 - b2**t) / (1 - b1**t)
        found.append(-alpha_t * m / (np.sqrt(v) + eps_hat(t)))
    return np.stack(found)


def test_the_faster_order_is_the_first_one_with_an_epsilon_that_grows():
    found = along(adam(0.01, eps=1e-4), SMALL)
    same = faster_order(SMALL, 0.01, 0.9, 0.999, lambda t: 1e-4 * np.sqrt(1 - 0.999**t))
    np.testing.assert_allclose(found, same, rtol=1e-4)


def test_a_fixed_epsilon_of_the_faster_order_is_a_larger_one_that_falls():
    """eps_hat counts as eps_hat / sqrt(1 - b2^t): 32 times itself in the first step."""
    fixed = faster_order(SMALL, 0.01, 0.9, 0.999, lambda t: 1e-4)
    assert np.abs(fixed[0]).max() < 0.1 * np.abs(along(adam(0.01, eps=1e-4), SMALL)[0]).max()
    for t in range(1, len(SMALL) + 1):
        effective = 1e-4 / np.sqrt(1 - 0.999**t)
        found = along(adam(0.01, eps=effective), SMALL[:t])[-1]
        np.testing.assert_allclose(found, fixed[t - 1], rtol=1e-4)


def test_epsilon_under_the_root():
    """eps_root counts as its root where the gradient is small: 1e-8 as 1e-4."""
    g = np.array([[1e-6, -3.0]])
    inside = along(adam(1.0, eps=0.0, eps_root=1e-8), g)
    np.testing.assert_allclose(inside, -g / np.sqrt(g**2 + 1e-8), rtol=1e-5)
    np.testing.assert_allclose(inside[0, 0], -0.01, rtol=1e-3)
    outside = along(adam(1.0, eps=1e-8), g)
    np.testing.assert_allclose(outside, -g / (np.abs(g) + 1e-8), rtol=1e-5)
    theirs = optax.adam(0.01, eps=0.0, eps_root=1e-8)
    np.testing.assert_allclose(
        along(adam(0.01, eps=0.0, eps_root=1e-8), SMALL), along(theirs, SMALL), rtol=1e-4
    )


# Weight decay.

THETA, DECAY = np.array([4.0, -0.5]), 0.1


def first_step(tx, g):
    return updates_of(tx, THETA, [np.asarray(g)])[0]


def coupled(alpha):
    """An L2 penalty: the decay is a part of the gradient, and scaled as it is."""
    return optax.chain(optax.add_decayed_weights(DECAY), adam(alpha))


def decoupled(alpha):
    """Loshchilov and Hutter 2019 (AdamW): weights shrink beside the step."""
    return optax.chain(adam(alpha), optax.add_decayed_weights(-alpha * DECAY))


def test_coupled_decay_moves_every_weight_by_the_rate_and_decoupled_by_its_share():
    no_gradient = np.zeros(2)
    np.testing.assert_allclose(
        first_step(coupled(0.01), no_gradient), -0.01 * np.sign(THETA), rtol=1e-5
    )
    np.testing.assert_allclose(
        first_step(decoupled(0.01), no_gradient), -0.01 * DECAY * THETA, rtol=1e-5
    )


def test_a_large_gradient_leaves_nothing_of_coupled_decay():
    g = np.array([1e6, 1e6])
    without = first_step(adam(0.01), g)
    np.testing.assert_allclose(first_step(coupled(0.01), g), without, rtol=1e-5)
    found = first_step(decoupled(0.01), g)
    np.testing.assert_allclose(found, without - 0.01 * DECAY * THETA, rtol=1e-5)


def test_decoupled_decay_is_that_of_adamw():
    gradients = some_gradients(PARAMS, 20)
    theirs = updates_of(optax.adamw(0.01, weight_decay=DECAY), PARAMS, gradients)
    ours = updates_of(decoupled(0.01), PARAMS, gradients)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), ours, theirs)


def test_of_plain_descent_both_decays_are_one():
    g = np.array([0.3, -2.0])
    inside = optax.chain(optax.add_decayed_weights(DECAY), optax.sgd(0.01))
    beside = optax.chain(optax.sgd(0.01), optax.add_decayed_weights(-0.01 * DECAY))
    np.testing.assert_allclose(first_step(inside, g), first_step(beside, g), rtol=1e-6)


# Rates and decays that change, and settings side by side.


def test_the_theorys_rate_and_decay_of_b1():
    gradients = np.random.default_rng(2).normal(size=(6, 3))
    expected = adam_by_hand(
        gradients, lambda t: 0.1 / np.sqrt(t), 0.9, 0.999, 1e-8, corrected=True, decay=0.5
    )
    found = along(adam(falling(0.1), b1_decay=0.5), gradients)
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    np.testing.assert_allclose([falling(0.1, 0.0)(9), falling(0.1)(3)], [0.1, 0.05], rtol=1e-6)
    found = along(adamax(falling(0.1)), gradients[:1].repeat(4, 0))
    np.testing.assert_allclose(found[3], found[0] / 2, rtol=1e-5)


def test_settings_side_by_side_are_those_alone():
    gradients = np.random.default_rng(3).normal(size=(5, 3))
    grid = np.array([[0.9, 0.99, 1.0], [0.0, 0.9999, 0.0], [0.9, 0.9999, 0.0]], np.float32)

    def steps(b1, b2, corrected):
        tx = adam(0.01, b1, b2, bias_correction=corrected)
        state, found = tx.init(jnp.zeros(3)), []
        for g in gradients:
            updates, state = tx.update(jnp.asarray(g, jnp.float32), state)
            found.append(updates)
        return jnp.stack(found)

    together = jax.vmap(steps)(*grid.T)
    for setting, found in zip(grid.tolist(), together, strict=True):
        alone = adam_by_hand(gradients, constant(0.01), *setting[:2], 1e-8, bool(setting[2]))
        np.testing.assert_allclose(found, alone, rtol=1e-4)


@pytest.mark.parametrize("t", [1, 3, 10])
def test_the_correction_is_exact_for_decays_near_one(t):
    b = np.float32(0.999999)
    found = one_minus_power(jnp.asarray(b), jnp.int32(t))
    np.testing.assert_allclose(found, 1 - float(b) ** t, rtol=1e-6)
    assert one_minus_power(jnp.float32(0.0), jnp.int32(t)) == 1


def test_temporal_averages_are_weighted_means_of_all_parameters():
    thetas = np.random.default_rng(4).normal(size=(7, 3))
    average = TemporalAverage.start(jnp.zeros(3))
    for theta in thetas:
        average = average.add(jnp.asarray(theta, jnp.float32), 0.9)
    weights = 0.1 * 0.9 ** np.arange(6, -1, -1)
    expected = weights @ thetas / (1 - 0.9**7)
    np.testing.assert_allclose(average.params(0.9), expected, rtol=1e-5)
    np.testing.assert_allclose(weights.sum() / (1 - 0.9**7), 1)


def test_adam_goes_the_wrong_way_where_large_gradients_are_rare():
    """Reddi, Kale, Kumar 2018, theorem 1: against section 4, it does not find the minimum.

    x in -1 to 1 has the gradient C in one of three steps and -1 in the others: the sum is least at
    x = -1, and Adam ends at 1, as v forgets C.
    """
    c = 4.0
    tx = adam(falling(0.5), b1=0.0, b2=1 / (1 + c**2))

    def body(carry, t):
        x, state = carry
        g = jnp.where(t % 3 == 0, c, -1.0)
        updates, state = tx.update(g, state)
        return (jnp.clip(x + updates, -1, 1), state), None

    x = jnp.float32(0.0)
    (end, _), _ = jax.lax.scan(body, (x, tx.init(x)), jnp.arange(3000))
    assert end > 0.9
