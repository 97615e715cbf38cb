"""Batch normalization over groups of a batch: what every worker does by itself, in one program.

Hoffer et al. (2017) call it ghost batch normalization. In Goyal et al. (2017, section 3.2) each of
the workers normalizes its own n images, so the loss that is minimized depends on n and not on the
number of workers. Here groups are of n images however many devices there are: XLA splits them over
the devices, and a group that lies on one device needs no communication.
"""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.linen import initializers
from flax.typing import Dtype, Initializer


class GhostBatchNorm(nn.Module):
    """`flax.linen.BatchNorm` over the rows `[i * group_size, (i + 1) * group_size)`, for each i.

    Attributes:
      group_size: rows of a group; divides the batch.
      use_running_average: normalize by the running averages, as in testing.
      momentum: weight of the old value in the running averages.
      dtype: of the result; statistics are always float32.
      scale_init: of gamma, "scale" `[C]`; beta, "bias", starts at zero.
      epsilon: added to the variance.
    """

    group_size: int
    use_running_average: bool
    momentum: float = 0.9
    dtype: Dtype = jnp.float32
    scale_init: Initializer = initializers.ones_init()
    epsilon: float = 1e-5

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Normalizes `[B, ..., C]` and, in training, updates the averages.

        The running averages, collection "batch_stats", follow the FIRST group alone: a worker's
        own, as the paper has it, and no statistics need to be sent.

        Raises:
          ValueError: the batch is not made of whole groups.
        """
        channels = x.shape[-1:]
        scale = self.param("scale", self.scale_init, channels)
        bias = self.param("bias", initializers.zeros_init(), channels)
        running_mean = self.variable("batch_stats", "mean", jnp.zeros, channels)
        running_var = self.variable("batch_stats", "var", jnp.ones, channels)
        if self.use_running_average:
            mean, var = running_mean.value, running_var.value
            groups = x.astype(jnp.float32)
        else:
            if x.shape[0] % self.group_size:
                raise ValueError(
                    f"a batch of {x.shape[0]} is not made of groups of {self.group_size} images"
                )
            groups = x.reshape(-1, self.group_size, *x.shape[1:]).astype(jnp.float32)
            axes = tuple(range(1, x.ndim))
            mean = groups.mean(axes, keepdims=True)
            var = jnp.maximum(jnp.square(groups).mean(axes, keepdims=True) - mean**2, 0.0)
            if not self.is_initializing():
                for running, new in ((running_mean, mean), (running_var, var)):
                    first = new[0].reshape(channels)
                    running.value = self.momentum * running.value + (1 - self.momentum) * first
        y = (groups - mean) * (jax.lax.rsqrt(var + self.epsilon) * scale) + bias
        return y.reshape(x.shape).astype(self.dtype)
