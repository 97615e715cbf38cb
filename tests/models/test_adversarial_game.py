"""One step of a game equals its updates written out."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from research.core import Aux, Learner
from research.core.tree import split_batch
from research.losses import gan
from research.models import adversarial, dense_gan


@pytest.fixture(scope="module")
def players():
    generator = Learner(dense_gan.Generator((2,), 4, 1), optax.sgd(0.1))
    critic = Learner(dense_gan.Critic(4, 1), optax.sgd(0.1))
    g = generator.init(jax.random.key(0), jnp.zeros((1, 3)), train=True)
    d = critic.init(jax.random.key(1), jnp.zeros((1, 2)), train=True)
    return generator, critic, g, d


def make_game(generator, critic, **options):
    def pair(g, rows, key):
        fake, _ = adversarial.train_mode(generator, g, jax.random.normal(key, (len(rows), 3)))
        return rows, fake

    def critic_loss(variables, pair, key):
        scores = [adversarial.train_mode(critic, variables, x)[0] for x in pair]
        return gan.wasserstein_critic_loss(*scores), Aux({})

    def generator_loss(d, variables, z, key):
        fake, _ = adversarial.train_mode(generator, variables, z)
        scores, _ = adversarial.train_mode(critic, d, fake)
        return gan.wasserstein_generator_loss(scores), Aux({})

    latents = lambda key: jax.random.normal(key, (4, 3))  # noqa: E731
    return adversarial.Game(
        generator, critic, pair, critic_loss, latents, generator_loss, **options
    )


def close(a, b):
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=1e-5, atol=1e-7), a, b)


@pytest.mark.parametrize("unroll", [True, False])
def test_critic_learns_from_every_row_once_then_the_generator(players, unroll):
    generator, critic, g, d = players
    batch = jax.random.normal(jax.random.key(2), (12, 2))
    game = make_game(generator, critic, num_discriminator_steps=3, unroll=unroll)
    key = jax.random.key(3)
    new_d, new_g, d_metrics, g_metrics = jax.jit(game.step)(d, g, batch, key)

    *d_keys, g_key = jax.random.split(key, 4)
    expected = d
    for rows, k in zip(split_batch(batch, 3), d_keys, strict=True):
        pair = game.pair(g, rows, k)
        expected, last = critic.minimize(expected, game.discriminator_loss, pair, k)
    close(new_d.params, expected.params)
    close(d_metrics["loss"], last["loss"])
    loss = lambda *args: game.generator_loss(expected, *args)  # noqa: E731
    after, found = generator.minimize(g, loss, game.latents(g_key), g_key)
    close(new_g.params, after.params)
    close(g_metrics["loss"], found["loss"])


def test_simultaneous_players_move_from_the_same_point(players):
    generator, critic, g, d = players
    batch = jax.random.normal(jax.random.key(2), (4, 2))
    key = jax.random.key(3)
    _, together, _, _ = make_game(generator, critic, simultaneous=True).step(d, g, batch, key)
    game = make_game(generator, critic)
    before, _ = game.generate(d, g, jax.random.split(key, 2)[0])
    close(together.params, before.params)
    _, in_turn, _, _ = game.step(d, g, batch, key)
    assert any(
        abs(a - b).max() > 1e-4
        for a, b in zip(
            jax.tree.leaves(together.params), jax.tree.leaves(in_turn.params), strict=True
        )
    )
    with pytest.raises(ValueError, match="one update"):
        make_game(generator, critic, simultaneous=True, num_discriminator_steps=2)


def test_rows_stay_on_their_devices_and_networks_without_statistics_have_none(players):
    """Part i of n is rows i, i + n, ...: no device gives rows away."""
    rows = np.arange(6)
    np.testing.assert_array_equal(split_batch(rows, 3), [[0, 3], [1, 4], [2, 5]])
    generator, critic, g, d = players
    assert not g.variables and not d.variables
    assert isinstance(generator.model, nn.Module)
