"""One vector of a sequence of vectors: their mean, their maximum, or what attention picks out."""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp

from research.nn.additive_attention import masked_softmax

KINDS = ("mean", "max", "attention")


class SequencePooling(nn.Module):
    """Pools the outputs of a network over sequences that end with padding.

    Attributes:
      kind: "mean", "max" (of each feature), or "attention": a mean weighted by softmax of
        v' tanh(W h + b), as of Yang et al. (2016).
      size: of v, for "attention".
    """

    kind: str
    size: int = 0

    @nn.compact
    def __call__(self, outputs: jax.Array, lengths: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Pools `outputs [B, T, F]`, whose rows have `lengths [B]` steps, one or more.

        Returns:
          Vectors `[B, F]`, and what each step counts for, `[B, T]`: weights that sum to 1, zero at
          padding. For "max" these are the shares of features that have their maximum there.
        """
        valid = jnp.arange(outputs.shape[1]) < lengths[:, None]
        if self.kind == "max":
            lifted = jnp.where(valid[..., None], outputs, -jnp.inf)
            places = jax.nn.one_hot(jnp.argmax(lifted, axis=1), outputs.shape[1])
            return jnp.max(lifted, axis=1), jnp.mean(places, axis=1)
        if self.kind == "mean":
            weights = valid / lengths[:, None]
        elif self.kind == "attention":
            scores = nn.Dense(1, use_bias=False, name="v")(
                jnp.tanh(nn.Dense(self.size, name="w")(outputs))
            )
            weights = masked_softmax(scores[..., 0], valid, axis=1)
        else:
            raise ValueError(f"kind is one of {', '.join(KINDS)}, not {self.kind!r}")
        return jnp.einsum("bt,btf->bf", weights, outputs), weights
