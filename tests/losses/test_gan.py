"""The GAN losses against their definition, at the optimum, and at extreme logits."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from research.losses import gan


def test_equal_the_cross_entropies_of_the_paper():
    real, fake = np.random.default_rng(0).normal(0, 2, (2, 50))
    d = 1 / (1 + np.exp(-real)), 1 / (1 + np.exp(-fake))
    np.testing.assert_allclose(
        gan.bce_discriminator_loss(jnp.array(real), jnp.array(fake)),
        -np.log(d[0]).mean() - np.log(1 - d[1]).mean(),
        rtol=1e-5,
    )
    np.testing.assert_allclose(
        gan.bce_generator_loss(jnp.array(fake)), -np.log(d[1]).mean(), rtol=1e-5
    )
    np.testing.assert_allclose(
        gan.bce_generator_loss(jnp.array(fake), saturating=True), np.log(1 - d[1]).mean(), rtol=1e-5
    )


def test_undecided_discriminator_costs_two_log_two():
    zeros = jnp.zeros(7)
    np.testing.assert_allclose(gan.bce_discriminator_loss(zeros, zeros), 2 * np.log(2), rtol=1e-6)


def test_only_the_saturating_gradient_dies_on_rejected_samples():
    rejected = jnp.full(4, -30.0)
    live = jax.grad(gan.bce_generator_loss)(rejected)
    dead = jax.grad(lambda x: gan.bce_generator_loss(x, saturating=True))(rejected)
    np.testing.assert_allclose(live, -0.25, rtol=1e-5)
    np.testing.assert_allclose(dead, 0, atol=1e-9)


def test_finite_with_finite_gradients_at_any_logit():
    # log(sigmoid(x)) written out would give -inf at -200 in float32.
    for sign in (-1, 1):
        x = jnp.full(3, sign * 200.0)
        for loss in (
            gan.bce_generator_loss,
            lambda v: gan.bce_generator_loss(v, saturating=True),
            lambda v: gan.bce_discriminator_loss(v, -v),
        ):
            value, gradient = jax.value_and_grad(loss)(x)
            assert np.isfinite(value) and np.isfinite(gradient).all()


def test_wasserstein_losses_are_differences_of_means():
    real, fake = np.random.default_rng(0).normal(0, 2, (2, 50))
    np.testing.assert_allclose(
        gan.wasserstein_critic_loss(jnp.array(real), jnp.array(fake)),
        fake.mean() - real.mean(),
        rtol=1e-5,
    )
    np.testing.assert_allclose(
        gan.wasserstein_generator_loss(jnp.array(fake)), -fake.mean(), rtol=1e-5
    )


def test_hinge_losses_have_no_gradient_beyond_the_margin():
    real, fake = jnp.array([2.0, 0.5, -1.0]), jnp.array([-3.0, -0.5, 1.0])
    loss, (by_real, by_fake) = jax.value_and_grad(gan.hinge_discriminator_loss, (0, 1))(real, fake)
    np.testing.assert_allclose(loss, (0 + 0.5 + 2) / 3 + (0 + 0.5 + 2) / 3, rtol=1e-6)
    np.testing.assert_allclose(by_real, [0, -1 / 3, -1 / 3], rtol=1e-6)
    np.testing.assert_allclose(by_fake, [0, 1 / 3, 1 / 3], rtol=1e-6)
    np.testing.assert_allclose(jax.grad(gan.hinge_generator_loss)(fake), [-1 / 3] * 3, rtol=1e-6)


@pytest.fixture
def pair():
    real, fake = np.random.default_rng(1).normal(0, 1, (2, 8, 3, 3, 2)).astype(np.float32)
    return jnp.asarray(real), jnp.asarray(fake)


def test_penalty_of_a_linear_critic_is_known(pair):
    weights = jnp.arange(18.0).reshape(3, 3, 2) / 30

    def penalty(weights, slope=1.0):
        return gan.gradient_penalty(
            lambda x: (x * weights).sum((1, 2, 3)), *pair, jax.random.key(0), slope=slope
        )

    length = np.linalg.norm(weights)
    np.testing.assert_allclose(penalty(weights), (length - 1) ** 2, rtol=1e-5)
    np.testing.assert_allclose(penalty(weights, slope=0.0), length**2, rtol=1e-5)
    np.testing.assert_allclose(
        jax.grad(penalty)(weights), 2 * (length - 1) * weights / length, rtol=1e-4, atol=1e-6
    )
    np.testing.assert_allclose(penalty(weights / length), 0, atol=1e-10)  # 1-Lipschitz


def test_penalty_is_taken_between_data_and_samples(pair):
    """The slope of |x|^2 / 2 is x itself: the places are read off it."""
    real, fake = pair
    key = jax.random.key(2)
    share = np.asarray(jax.random.uniform(key, (8, 1, 1, 1)))
    between = np.asarray(real) * (1 - share) + np.asarray(fake) * share
    expected = ((np.linalg.norm(between.reshape(8, -1), axis=1) - 1) ** 2).mean()
    found = gan.gradient_penalty(lambda x: (x**2).sum((1, 2, 3)) / 2, real, fake, key)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    assert share.std() > 0.1  # each pair has a place of its own


def test_penalty_of_a_flat_critic_is_finite_with_a_finite_gradient(pair):
    def penalty(scale):
        critic = lambda x: scale * (x**2).sum((1, 2, 3))  # noqa: E731
        return gan.gradient_penalty(critic, *pair, jax.random.key(0))

    value, gradient = jax.value_and_grad(penalty)(0.0)
    np.testing.assert_allclose(value, 1, rtol=1e-6)
    assert np.isfinite(gradient)


def test_least_squares_losses_are_halves_of_squares():
    real, fake = np.random.default_rng(0).normal(0, 2, (2, 50))
    np.testing.assert_allclose(
        gan.least_squares_discriminator_loss(jnp.array(real), jnp.array(fake)),
        ((real - 1) ** 2).mean() / 2 + (fake**2).mean() / 2,
        rtol=1e-5,
    )
    np.testing.assert_allclose(
        gan.least_squares_generator_loss(jnp.array(fake)), ((fake - 1) ** 2).mean() / 2, rtol=1e-5
    )


def test_gradient_of_the_penalty_equals_finite_differences(pair):
    """Through the norm into the critic's weights: a derivative of a derivative."""
    rng = np.random.default_rng(3)
    first, second = rng.normal(0, 0.3, (18, 7)), rng.normal(0, 1, 7)

    def penalty(first):
        critic = lambda x: jnp.tanh(x.reshape(len(x), -1) @ first) @ jnp.asarray(second)  # noqa: E731
        return gan.gradient_penalty(critic, *pair, jax.random.key(5))

    direction = rng.normal(0, 1, first.shape)
    by_differences = (penalty(first + 1e-2 * direction) - penalty(first - 1e-2 * direction)) / 2e-2
    along = (jax.grad(penalty)(jnp.asarray(first)) * direction).sum()
    np.testing.assert_allclose(along, by_differences, rtol=2e-2)
    assert abs(along) > 0.1
