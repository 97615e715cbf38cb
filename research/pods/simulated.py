"""A CPU as several devices."""

from __future__ import annotations

import contextlib
import os

import jax

from research.training import hosts


def simulate_devices(count: int) -> None:
    """Lets a CPU be `count` devices, for a paper that is about several.

    To be called before the first use of a device, or it does nothing, as with accelerators, in a
    run of several processes, and where JAX_NUM_CPU_DEVICES says how many there are to be.
    """
    if "JAX_NUM_CPU_DEVICES" not in os.environ and hosts.detect(os.environ) is None:
        with contextlib.suppress(RuntimeError):  # JAX has started
            jax.config.update("jax_num_cpu_devices", count)
