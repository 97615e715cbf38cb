"""Where activations lie on the mesh of a training step."""

from __future__ import annotations

import math

import jax
from jax.sharding import PartitionSpec

BATCH = ("data", "fsdp")  # the mesh axes that rows of a batch are split over
BATCH_SPEC = PartitionSpec(BATCH)


def constrain(x: jax.Array, *axes: str | tuple[str, ...] | None) -> jax.Array:
    """Asks for dimension i of `x` to be split over the mesh axes `axes[i]`.

    Without a mesh nothing happens, so a model runs anywhere; a dimension that the axes do not
    divide stays whole.
    """
    mesh = jax.sharding.get_abstract_mesh()
    if mesh.empty:
        return x

    def fits(size: int, names: str | tuple[str, ...] | None) -> bool:
        names = (names,) if isinstance(names, str) else names or ()
        return size % math.prod(mesh.shape[name] for name in names) == 0

    spec = [name if fits(n, name) else None for n, name in zip(x.shape, axes, strict=True)]
    return jax.lax.with_sharding_constraint(x, PartitionSpec(*spec))
