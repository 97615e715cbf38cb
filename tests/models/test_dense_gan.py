"""Dense generators and critics."""

import jax
import jax.numpy as jnp
import numpy as np

from research.core.tree import count_parameters
from research.models import dense_gan


def test_the_critic_is_a_stack_of_relu_layers_and_takes_nudges():
    critic = dense_gan.Critic(width=5, depth=2)
    x = np.random.default_rng(0).normal(0, 1, (4, 2)).astype(np.float32)
    variables = critic.init(jax.random.key(0), x, train=True)
    p = variables["params"]
    first = np.maximum(x @ p["dense1"]["kernel"] + p["dense1"]["bias"], 0)

    def rest(h):
        h = np.maximum(h @ p["dense2"]["kernel"] + p["dense2"]["bias"], 0)
        return (h @ p["score"]["kernel"] + p["score"]["bias"])[:, 0]

    scores, maps = critic.apply(variables, x, train=True)
    np.testing.assert_allclose(scores, rest(first), rtol=1e-5)
    np.testing.assert_allclose(maps["dense1"], first, rtol=1e-5)
    nudged, _ = critic.apply(variables, x, train=True, nudges={"dense1": jnp.full((4, 5), 0.3)})
    np.testing.assert_allclose(nudged, rest(first + 0.3), rtol=1e-5)


def test_the_generator_has_the_papers_size_and_shape():
    """WGAN's: four layers of 512 units to 64 x 64 x 3."""
    net = dense_gan.Generator((64, 64, 3), 512, 4, jnp.tanh)
    shapes = jax.eval_shape(
        lambda k: net.init(k, jnp.zeros((1, 100)), train=True), jax.random.key(0)
    )
    sizes = [100, 512, 512, 512, 512, 64 * 64 * 3]
    expected = sum(a * b + b for a, b in zip(sizes, sizes[1:], strict=False))
    assert count_parameters({"g": shapes}) == {"g": expected}
    small = dense_gan.Generator((3, 3, 1), 4, 1, jnp.tanh)
    variables = small.init(jax.random.key(0), jnp.zeros((1, 2)), train=True)
    images, _ = small.apply(variables, 9 * jnp.ones((2, 2)), train=True)
    assert images.shape == (2, 3, 3, 1) and abs(images).max() <= 1
