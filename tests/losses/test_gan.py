"""The GAN losses against their definition, at the optimum, and at extreme logits."""

import jax
import jax.numpy as jnp
import numpy as np

from research.losses import gan


def test_equal_the_cross_entropies_of_the_paper():
    real, fake = np.random.default_rng(0).normal(0, 2, (2, 50))
    d = 1 / (1 + np.exp(-real)), 1 / (1 + np.exp(-fake))
    np.testing.assert_allclose(
        gan.discriminator_loss(jnp.array(real), jnp.array(fake)),
        -np.log(d[0]).mean() - np.log(1 - d[1]).mean(),
        rtol=1e-5,
    )
    np.testing.assert_allclose(gan.generator_loss(jnp.array(fake)), -np.log(d[1]).mean(), rtol=1e-5)
    np.testing.assert_allclose(
        gan.generator_loss(jnp.array(fake), saturating=True), np.log(1 - d[1]).mean(), rtol=1e-5
    )


def test_undecided_discriminator_costs_two_log_two():
    zeros = jnp.zeros(7)
    np.testing.assert_allclose(gan.discriminator_loss(zeros, zeros), 2 * np.log(2), rtol=1e-6)


def test_only_the_saturating_gradient_dies_on_rejected_samples():
    rejected = jnp.full(4, -30.0)
    live = jax.grad(gan.generator_loss)(rejected)
    dead = jax.grad(lambda x: gan.generator_loss(x, saturating=True))(rejected)
    np.testing.assert_allclose(live, -0.25, rtol=1e-5)
    np.testing.assert_allclose(dead, 0, atol=1e-9)


def test_finite_with_finite_gradients_at_any_logit():
    # log(sigmoid(x)) written out would give -inf at -200 in float32.
    for sign in (-1, 1):
        x = jnp.full(3, sign * 200.0)
        for loss in (
            gan.generator_loss,
            lambda v: gan.generator_loss(v, saturating=True),
            lambda v: gan.discriminator_loss(v, -v),
        ):
            value, gradient = jax.value_and_grad(loss)(x)
            assert np.isfinite(value) and np.isfinite(gradient).all()
