"""Attacks in closed form on linear classifiers, and their properties on others."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from research.losses import attacks

RNG = np.random.default_rng(0)
W, B = jnp.asarray(RNG.normal(size=6), jnp.float32), 0.3
X = jnp.asarray(RNG.uniform(0.2, 0.8, (40, 6)), jnp.float32)
Y = jnp.asarray(RNG.integers(0, 2, 40))


def logistic(x):
    z = x @ W + B
    return jnp.stack([-z / 2, z / 2], -1)


def network(x):
    """Two layers, three classes, and nothing linear about it."""
    first, second = (
        jnp.asarray(np.random.default_rng(i).normal(size=shape), jnp.float32)
        for i, shape in enumerate([(6, 16), (16, 3)])
    )
    return jnp.tanh(2 * x @ first) @ second


def test_fgsm_on_logistic_regression_is_the_papers_closed_form():
    """Section 5: zeta(y (epsilon |w|_1 - w x - b)), the worst in the ball, with y in {-1, +1}."""
    epsilon, signs = 0.25, 2.0 * Y - 1
    moved = attacks.fgsm(logistic, X, Y, epsilon)
    np.testing.assert_allclose(moved, X - epsilon * signs[:, None] * jnp.sign(W), rtol=1e-6)
    expected = jax.nn.softplus(epsilon * jnp.abs(W).sum() - signs * (X @ W + B))
    found = attacks.cross_entropies(logistic(moved), Y)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_the_penalty_is_inside_the_loss_and_can_vanish():
    """An L1 penalty has a gradient however well an example is classified; this one has not."""
    x = 100 * jnp.sign(W)[None]
    moved_loss = lambda w: optax.losses.sigmoid_binary_cross_entropy(  # noqa: E731
        (x - 0.25 * jnp.sign(w)) @ w, jnp.ones(1)
    ).sum()
    assert np.abs(jax.grad(moved_loss)(W)).max() < 1e-10
    assert np.abs(jax.grad(lambda w: jnp.abs(w).sum())(W)).min() == 1


def test_the_step_grows_an_activation_by_epsilon_times_the_l1_norm():
    moved = attacks.fgsm(logistic, X, jnp.zeros(40, int), 0.1)
    grown = (moved - X) @ W
    np.testing.assert_allclose(grown, 0.1 * np.abs(W).sum(), rtol=1e-4)


def test_fgsm_is_the_sign_of_each_rows_own_gradient():
    labels = jnp.arange(40) % 3
    each = jnp.stack(
        [
            jax.grad(lambda x, y=y: attacks.cross_entropies(network(x[None]), y[None])[0])(x)
            for x, y in zip(X, labels, strict=True)
        ]
    )
    moved = attacks.fgsm(network, X, labels, 0.05)
    np.testing.assert_allclose(moved, X + 0.05 * jnp.sign(each), atol=1e-6)
    # Towards a class is the other way.
    towards = attacks.fgsm(network, X, labels, 0.05, towards=True)
    np.testing.assert_allclose(towards, X - 0.05 * jnp.sign(each), atol=1e-6)


def test_least_likely_goes_towards_the_class_of_the_lowest_logit():
    target = network(X).argmin(-1)
    moved = attacks.least_likely(network, X, 0.01)
    before = attacks.cross_entropies(network(X), target)
    after = attacks.cross_entropies(network(moved), target)
    assert (after < before).all()
    np.testing.assert_allclose(
        moved, attacks.fgsm(network, X, target, 0.01, towards=True), atol=1e-7
    )


def test_margins_are_the_best_other_logit_less_the_labels():
    logits = jnp.array([[1.0, 5.0, 2.0], [4.0, -1.0, 3.5]])
    np.testing.assert_allclose(attacks.margins(logits, jnp.array([1, 2])), [-3.0, 0.5])
    wrong = attacks.margins(network(X), Y) > 0
    np.testing.assert_array_equal(wrong, network(X).argmax(-1) != Y)


ATTACKS = {
    "fgsm": lambda box: attacks.fgsm(network, X, Y, 0.3, box=box),
    "least_likely": lambda box: attacks.least_likely(network, X, 0.3, box=box),
    "random_signs": lambda box: attacks.random_signs(jax.random.key(0), X, 0.3, box),
    "uniform_noise": lambda box: attacks.uniform_noise(jax.random.key(0), X, 0.3, box),
    "pgd": lambda box: attacks.pgd(network, X, Y, 0.3, step_size=0.2, num_steps=5, box=box),
    "pgd_restarts": lambda box: attacks.pgd(
        network,
        X,
        Y,
        0.3,
        step_size=0.2,
        num_steps=3,
        starts=attacks.random_starts(jax.random.key(1), X, 0.3, 3, box),
        box=box,
        losses=attacks.margins,
    ),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_every_attack_stays_in_the_ball_and_in_the_box(name):
    free, clipped = ATTACKS[name](None), ATTACKS[name]((0.0, 1.0))
    for moved in (free, clipped):
        assert np.abs(moved - X).max() <= 0.3 + 1e-6
    assert clipped.min() >= 0 and clipped.max() <= 1
    assert free.min() < 0 or free.max() > 1
    if name != "uniform_noise":  # all else reaches the ball's surface
        assert np.abs(free - X).max() > 0.3 - 1e-6


def test_noise_has_the_size_of_the_attack():
    signs = attacks.random_signs(jax.random.key(3), X, 0.3) - X
    np.testing.assert_allclose(np.abs(signs), 0.3, rtol=1e-5)
    assert abs(float(jnp.sign(signs).mean())) < 0.2


def test_pgd_of_small_steps_raises_the_loss_at_every_step():
    found = [
        attacks.cross_entropies(
            network(attacks.pgd(network, X, Y, 0.2, step_size=2e-3, num_steps=steps, box=None)), Y
        ).mean()
        for steps in (0, 1, 2, 5, 20, 200)
    ]
    assert (np.diff(found) > 0).all()
    one_step = attacks.cross_entropies(network(attacks.fgsm(network, X, Y, 0.2)), Y).mean()
    assert found[-1] > one_step


def test_pgd_of_one_whole_step_is_fgsm():
    whole = attacks.pgd(network, X, Y, 0.1, step_size=0.1, num_steps=1)
    np.testing.assert_allclose(whole, attacks.fgsm(network, X, Y, 0.1, box=(0.0, 1.0)), atol=1e-7)


def test_restarts_keep_the_worst_of_each_row():
    starts = attacks.random_starts(jax.random.key(2), X, 0.3, 6)
    assert starts.shape == (6, *X.shape)
    run = functools.partial(attacks.pgd, network, X, Y, 0.3, step_size=0.02, num_steps=2)
    each = [run(starts=start[None]) for start in starts]
    wrong = np.stack([network(z).argmax(-1) != Y for z in each])
    losses = np.stack([attacks.cross_entropies(network(z), Y) for z in each])
    # Being wrong counts before the loss.
    best = (losses + 1e3 * wrong).argmax(0)
    expected = np.stack(each)[best, np.arange(40)]
    np.testing.assert_allclose(run(starts=starts), expected, atol=1e-6)
    assert len(set(best.tolist())) > 2
    assert wrong.any(0).sum() > max(wrong.sum(1))  # some rows fall to one start alone


def test_an_attack_has_no_gradient_of_its_own():
    def loss(w, attack):
        model = lambda x: jnp.stack([-x @ w, x @ w], -1)  # noqa: E731
        return attacks.cross_entropies(model(attack(model)), Y).mean()

    once = {
        "fgsm": lambda model: attacks.fgsm(model, X, Y, 0.1),
        "pgd": lambda model: attacks.pgd(model, X, Y, 0.1, step_size=0.05, num_steps=3),
    }
    for attack in once.values():
        fixed = attack(lambda x: jnp.stack([-x @ W, x @ W], -1))
        np.testing.assert_allclose(
            jax.grad(loss)(W, attack), jax.grad(loss)(W, lambda _, z=fixed: z), rtol=1e-5
        )
