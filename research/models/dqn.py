"""Q networks of Mnih et al. 2013 (arXiv:1312.5602, section 4.1), 2015 (Nature 518, Methods), of
MinAtar (Young and Tian, 2019, arXiv:1903.03176), and their dueling form (Wang et al., 2015,
arXiv:1511.06581)."""

from __future__ import annotations

from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.typing import Dtype

from research.core.errors import check_choice
from research.nn import fan_in
from research.nn.conv import Conv

# Convolutions (features, kernel, stride), then units of the hidden layer.
_VARIANTS: dict[str, tuple[Sequence[tuple[int, int, int]], int]] = {
    "2013": (((16, 8, 4), (32, 4, 2)), 256),
    "2015": (((32, 8, 4), (64, 4, 2), (64, 3, 1)), 512),
    "minatar": (((16, 3, 1),), 128),
}


class DQN(nn.Module):
    """Maps an observation to one value per action.

    Attributes:
      num_actions: A.
      variant: "2013", "2015" or "minatar".
      dueling: value and advantage streams, each with a hidden layer of its own.
      dtype: type of the computation; parameters are float32.
    """

    num_actions: int
    variant: str = "2015"
    dueling: bool = False
    dtype: Dtype | None = None

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Values of all actions.

        Args:
          x: `[B, H, W, C]` uint8.
          train: has no effect.

        Returns:
          Values `[B, A]` float32, and `{"features": [B, F]}`, the last convolution's output.

        Raises:
          UserError: unknown variant.
        """
        del train
        check_choice("model.variant", self.variant, _VARIANTS)
        convolutions, hidden = _VARIANTS[self.variant]
        x = x.astype(self.dtype or jnp.float32) / 255
        for features, kernel, stride in convolutions:
            x = Conv(
                features,
                kernel,
                stride,
                "VALID",
                dtype=self.dtype,
                kernel_init=fan_in.kernel_init,
                bias_init=fan_in.bias_init(kernel * kernel * x.shape[-1]),
            )(x)
            x = nn.relu(x)
        flat = x = x.reshape(x.shape[0], -1)
        if self.dueling:
            # Two streams send gradients into the trunk, which are scaled together by 1/sqrt(2)
            # (section 4.2): x stays what it is, and only the part `scale` of it has a gradient.
            scale = 2**-0.5
            x = scale * x + (1 - scale) * jax.lax.stop_gradient(x)
            value = self._dense(nn.relu(self._dense(x, hidden, "value_hidden")), 1, "value")
            advantage = nn.relu(self._dense(x, hidden, "advantage_hidden"))
            advantage = self._dense(advantage, self.num_actions, "advantage")
            q = value + advantage - advantage.mean(axis=-1, keepdims=True)  # equation 9
        else:
            x = nn.relu(self._dense(x, hidden, "hidden"))
            q = self._dense(x, self.num_actions, "q")
        return q.astype(jnp.float32), {"features": flat}

    def _dense(self, x: jax.Array, units: int, name: str) -> jax.Array:
        return fan_in.dense(units, x.shape[-1], dtype=self.dtype, name=name)(x)
