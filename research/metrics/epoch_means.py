"""Means of loss and error over the epoch so far, in the training state: what claims compare."""

from __future__ import annotations

from collections.abc import Mapping

import jax
import jax.numpy as jnp

EpochMeans = dict[str, jax.Array]


def start() -> EpochMeans:
    """The means' sums before the first step."""
    return {"loss": jnp.zeros(()), "error": jnp.zeros(()), "steps": jnp.zeros(())}


def add(
    epoch: EpochMeans, t: jax.Array, epoch_steps: int, metrics: Mapping[str, jax.Array]
) -> EpochMeans:
    """Adds the metrics "loss" and "error" of step `t`; the first step of an epoch starts anew."""
    goes_on = t % epoch_steps != 0
    new = {"loss": metrics["loss"], "error": metrics["error"], "steps": jnp.ones(())}
    return {name: goes_on * epoch[name] + value for name, value in new.items()}


def read(epoch: EpochMeans) -> dict[str, float]:
    """The means, on the host."""
    sums = jax.device_get(epoch)
    return {name: sums[name] / sums["steps"] for name in ("loss", "error")}
