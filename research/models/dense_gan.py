"""A generator and a critic of dense layers, for points in the plane or for small images.

Sources: Arjovsky et al. 2017, arXiv:1701.07875, section 4.3 (the generator: four layers of 512
units); Gulrajani et al. 2017, arXiv:1704.00028, section 4 (both, of three and of twelve layers).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import jax
from flax import linen as nn
from flax.typing import Initializer


class Generator(nn.Module):
    """z to a point or an image.

    Attributes:
      shape: of an output.
      width: units of a hidden layer.
      depth: hidden layers, ReLU.
      last: what the output is put through; `jnp.tanh` for images.
      kernel_init: of all layers.
    """

    shape: tuple[int, ...]
    width: int = 512
    depth: int = 3
    last: Callable[[jax.Array], jax.Array] | None = None
    kernel_init: Initializer = nn.initializers.he_uniform()

    @nn.compact
    def __call__(self, z: jax.Array, *, train: bool) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Outputs `[B, *shape]` of latents z `[B, Z]`, and hidden activations by name."""
        del train  # no layer differs
        x, maps = z, {}
        for i in range(1, self.depth + 1):
            x = nn.relu(nn.Dense(self.width, kernel_init=self.kernel_init, name=f"dense{i}")(x))
            maps[f"dense{i}"] = x
        size = 1
        for side in self.shape:
            size *= side
        x = nn.Dense(size, kernel_init=self.kernel_init, name="out")(x)
        if self.last is not None:
            x = self.last(x)
        return x.reshape(-1, *self.shape), maps


class Critic(nn.Module):
    """A point or an image to one score.

    Attributes:
      width: units of a hidden layer.
      depth: hidden layers, ReLU.
      use_bias: of the score: no Wasserstein loss sees it, which takes differences of scores.
      kernel_init: of all layers.
    """

    width: int = 512
    depth: int = 3
    use_bias: bool = True
    kernel_init: Initializer = nn.initializers.he_uniform()

    @nn.compact
    def __call__(
        self, x: jax.Array, *, train: bool, nudges: Mapping[str, jax.Array] | None = None
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Scores inputs.

        Args:
          x: `[B, ...]`.
          train: no layer differs.
          nudges: added to the hidden activations of these names: the gradient of a loss with
            respect to one is its gradient with respect to those activations.

        Returns:
          Scores `[B]`, and hidden activations `[B, width]`, "dense1" to the last.
        """
        del train
        x, maps = x.reshape(len(x), -1), {}
        for i in range(1, self.depth + 1):
            name = f"dense{i}"
            x = nn.relu(nn.Dense(self.width, kernel_init=self.kernel_init, name=name)(x))
            if nudges is not None and name in nudges:
                x = x + nudges[name]
            maps[name] = x
        out = nn.Dense(1, use_bias=self.use_bias, kernel_init=self.kernel_init, name="score")
        return out(x)[:, 0], maps
