"""What the networks of any generative adversarial net do, in training and after it.

A network here is a module, or its `Learner`, that is called as `network(x, train=...)` and returns
its output and its maps by name. Whatever collections it has beside the parameters are updated:
batch statistics, the vectors of spectral norm, or none.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from research.core import Aux, Learner, LearnerState
from research.core.tree import split_batch
from research.data.batches import in_batches

Variables = Mapping[str, Any]
Network = nn.Module | Learner  # a learner is applied to its state as a module to its variables


Numbers = dict[str, jax.Array]


@dataclasses.dataclass(frozen=True)
class Game:
    """One step of training: some updates of the discriminator (or critic), then one of G.

    Each of D's updates has rows of its own of the batch, and every device keeps the rows that it
    has: `Experiment.micro_batches` is `num_discriminator_steps`, times the learners' `accumulate`.

    Attributes:
      generator, discriminator: the players.
      pair: `(G's state, rows of the batch, key)` to what D learns from, data and samples. It is
        called outside of D's loss: no gradient flows into G.
      discriminator_loss: `(D's variables, what pair made, key) -> (loss, Aux)`.
      latents: `key` to what G learns from.
      generator_loss: `(D's state, G's variables, latents, key) -> (loss, Aux)`.
      num_discriminator_steps: D's updates for one of G.
      simultaneous: G learns against D as it was before its update, with the same key: from it both
        can draw the same latents and dropout masks (Goodfellow et al. 2014, released code).
      unroll: D's updates stand one after the other in the program, or are a `lax.scan`, which
        compiles faster.
    """

    generator: Learner
    discriminator: Learner
    pair: Callable[[LearnerState, Any, jax.Array], Any]
    discriminator_loss: Callable[[Any, Any, jax.Array], tuple[jax.Array, Aux]]
    latents: Callable[[jax.Array], Any]
    generator_loss: Callable[[LearnerState, Any, Any, jax.Array], tuple[jax.Array, Aux]]
    num_discriminator_steps: int = 1
    simultaneous: bool = False
    unroll: bool = True

    def __post_init__(self) -> None:
        if self.simultaneous and self.num_discriminator_steps != 1:
            raise ValueError("players move simultaneously only where each makes one update")

    def discriminate(
        self, discriminator: LearnerState, generator: Any, rows: Any, key: jax.Array
    ) -> tuple[LearnerState, Numbers]:
        """One update of D; `generator` is what `pair` takes."""
        pair = self.pair(generator, rows, key)
        return self.discriminator.minimize(discriminator, self.discriminator_loss, pair, key)

    def generate(
        self, discriminator: LearnerState, generator: LearnerState, key: jax.Array
    ) -> tuple[LearnerState, Numbers]:
        """One update of G."""
        loss = functools.partial(self.generator_loss, discriminator)
        return self.generator.minimize(generator, loss, self.latents(key), key)

    def step(
        self, discriminator: LearnerState, generator: LearnerState, batch: Any, key: jax.Array
    ) -> tuple[LearnerState, LearnerState, Numbers, Numbers]:
        """All updates of one step.

        Args:
          discriminator, generator: states of the players.
          batch: data `[num_discriminator_steps B, ...]`; None where `pair` makes it.
          key: of the step.

        Returns:
          States of D and G, metrics of D's last update and of G's.
        """
        num = self.num_discriminator_steps
        keys = jax.random.split(key, num + 1)
        parts = split_batch(batch, num)
        before = discriminator
        if self.unroll:
            for i in range(num):
                rows = jax.tree.map(lambda x, i=i: x[i], parts)
                discriminator, metrics = self.discriminate(discriminator, generator, rows, keys[i])
        else:
            discriminator, all_metrics = jax.lax.scan(
                lambda state, xs: self.discriminate(state, generator, *xs),
                discriminator,
                (parts, keys[:num]),
            )
            metrics = jax.tree.map(lambda x: x[-1], all_metrics)
        opponent, g_key = (before, keys[0]) if self.simultaneous else (discriminator, keys[num])
        generator, g_metrics = self.generate(opponent, generator, g_key)
        return discriminator, generator, metrics, g_metrics


def apply(
    network: Network, variables: LearnerState | Variables, x: jax.Array, **inputs: Any
) -> tuple[tuple[jax.Array, dict[str, jax.Array]], Variables]:
    """The network's output and maps, and its updated collections, whatever it has."""
    if isinstance(variables, LearnerState):
        collections = list(variables.variables)
    else:
        collections = [name for name in variables if name != "params"]
    forward: Any = network.apply
    return forward(variables, x, **inputs, mutable=collections)


def train_mode(
    network: Network, variables: LearnerState | Variables, x: jax.Array
) -> tuple[jax.Array, Variables]:
    """Output of a network in training, where x is normalised by its own batch statistics.

    Returns:
      The output, and the updated collections.
    """
    (out, _), updated = apply(network, variables, x, train=True)
    return out, updated


def discriminate_pair(
    discriminator: Network,
    variables: LearnerState | Variables,
    real: jax.Array,
    fake: jax.Array,
) -> tuple[jax.Array, jax.Array, Variables]:
    """D in training on a batch of data and a batch of samples, each normalised by itself.

    In one mixed batch the statistics would carry the labels from one half to the other. The
    running statistics follow the data only: they serve D as a feature extractor of data.

    Args:
      discriminator: D.
      variables: its parameters and other collections.
      real, fake: `[B, H, W, C]`.

    Returns:
      Logits `[B]` on data, logits `[B]` on samples, updated collections.
    """
    real_logits, updated = train_mode(discriminator, variables, real)
    fake_logits, _ = train_mode(discriminator, variables, fake)
    return real_logits, fake_logits, updated


@functools.partial(jax.jit, static_argnames=("generator", "statistics"))
def generate(
    generator: nn.Module, variables: Variables, z: jax.Array, statistics: str, inputs: Variables
) -> tuple[jax.Array, dict[str, jax.Array]]:
    """One batch of `sample`, on the device: images `[B, H, W, C]`, and the generator's maps."""
    out, _ = apply(generator, variables, z, train=statistics == "batch", **inputs)
    return out


def sample(
    generator: nn.Module,
    variables: Variables,
    z: jax.Array,
    *,
    statistics: Literal["running", "batch"] = "running",
    batch_size: int = 250,
    **inputs: Any,
) -> np.ndarray:
    """Images of latents, on the host.

    Args:
      generator: G.
      variables: its parameters and other collections.
      z: `[N, Z]`.
      statistics: of batch norm: the "running" ones, or those of each `batch_size` samples.
      batch_size: latents in one call.
      **inputs: other arguments of G, such as `keep` of `models.dcgan.Generator`.

    Returns:
      float32 `[N, H, W, C]` in [-1, 1].
    """
    if statistics == "batch":  # a batch that is filled up would change its statistics
        batch_size = min(batch_size, len(z))
    return in_batches(
        lambda part: generate(generator, variables, part, statistics, inputs)[0], z, batch_size
    )


def draw(generator: Learner, state: LearnerState, z: jax.Array, **options: Any) -> np.ndarray:
    """`sample` of a generator that is trained or in training, by its averages if it keeps them."""
    return sample(generator.model, generator.eval_variables(state), z, **options)


def pooled_maps(
    discriminator: nn.Module, variables: Variables, images: jax.Array, grid: int = 4
) -> jax.Array:
    """D as a feature extractor (Radford et al. 2015, arXiv:1511.06434, section 5.1).

    The activations of all its maps, each max-pooled to a grid, flattened and concatenated. Batch
    norms use the statistics of `images`, so that an untrained D is normalised too; give batches of
    hundreds, drawn alike.

    Args:
      discriminator: D, all of whose maps are squares with a side that divides by `grid`.
      variables: its parameters and other collections.
      images: `[B, H, H, C]` in [-1, 1].
      grid: cells on a side.

    Returns:
      `[B, grid^2 F]`, F being the channels of all maps; 28,672 features of a DCGAN of width 256 for
      images of 32 px.
    """
    (_, maps), _ = apply(discriminator, variables, images, train=True)
    pooled = [
        x.reshape(len(x), grid, x.shape[1] // grid, grid, -1, x.shape[-1]).max((2, 4))
        for x in maps.values()
    ]
    return jnp.concatenate([x.reshape(len(x), -1) for x in pooled], -1)


_pooled_maps = jax.jit(pooled_maps, static_argnames=("discriminator", "grid"))


def features(
    discriminator: nn.Module,
    variables: Variables,
    images: np.ndarray,
    *,
    batch_size: int = 500,
) -> np.ndarray:
    """`pooled_maps` of images `[N, H, H, C]`, in batches, on the host: float32 `[N, F]`."""
    size = min(batch_size, len(images))
    return in_batches(lambda part: _pooled_maps(discriminator, variables, part), images, size)
