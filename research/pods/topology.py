"""Machines that are not there: their devices, to compile for."""

from __future__ import annotations

import dataclasses
import importlib.util
import math
import os
from collections.abc import Sequence
from typing import Any

import jax
from jax.experimental import topologies

from research.core.errors import UserError, quoted
from research.pods.simulated import simulate_devices

GIB = 2**30


@dataclasses.dataclass(frozen=True)
class Chip:
    """A TPU generation, or the GPU.

    Attributes:
      hbm: bytes of memory that the compiler lets a program have: the chip's own less its reserve.
      dimensions: of its network, a torus.
      most: chips in the largest slice that is sold.
      flops: a second at most, of bfloat16 products; of float32 ones too, which by JAX's default
        precision are made of bfloat16.
      hbm_bandwidth: bytes a second, read and written together.
      link_bandwidth: bytes a second that it sends to its neighbours, over all links.
      options: of its description; a v4 chip counts as one device with both of its cores.
    """

    hbm: int
    dimensions: int
    most: int
    flops: float
    hbm_bandwidth: float
    link_bandwidth: float
    options: dict[str, Any] = dataclasses.field(default_factory=dict)


GPU = "gpu"
# Speeds from the makers' data sheets. GPUs are H100 of 80 GB (SXM5) with NVLink.
CHIPS = {
    "v4": Chip(int(30.75 * GIB), 3, 4096, 275e12, 1228e9, 300e9, {"chip_config_name": "megacore"}),
    "v5e": Chip(int(15.75 * GIB), 2, 256, 197e12, 819e9, 200e9),
    "v5p": Chip(int(95.74 * GIB), 3, 6144, 459e12, 2765e9, 600e9),
    "v6e": Chip(int(31.25 * GIB), 2, 256, 918e12, 1638e9, 400e9),
    GPU: Chip(int(80e9), 1, 256, 989e12, 3350e9, 450e9),
}


@dataclasses.dataclass(frozen=True)
class Slice:
    """Devices of a slice; they can be compiled for and nothing else."""

    name: str
    chip: Chip
    devices: list[Any]


def load(name: str) -> Slice:
    """The slice of a name such as "v5e:4x8". No TPU and no network are needed, but `libtpu` is.

    "gpu:8" are eight devices of this CPU, to be taken for GPUs: how arrays are split, and what is
    sent between devices, then is as on GPUs; what a GPU's own compiler would make of it is not.

    Raises:
      UserError: no such chip or slice, or `libtpu` is not installed.
    """
    kind, _, shape = name.partition(":")
    sizes = [int(size) if size.isdecimal() else 0 for size in shape[:20].split("x")]
    if kind not in CHIPS or 0 in sizes:
        raise UserError(
            f"unknown topology {quoted(name)}; give a chip ({', '.join(CHIPS)}) and the shape of a "
            "slice, such as v5e:4x8, v5p:8x8x16 or gpu:8"
        )
    chip = CHIPS[kind]
    if len(sizes) != chip.dimensions:
        example = "x".join("4" * chip.dimensions)
        raise UserError(
            f"topology {name}: a {kind} slice has {chip.dimensions} "
            f"dimension{'s' * (chip.dimensions > 1)}, such as {kind}:{example}"
        )
    if kind == GPU and sizes[0] <= chip.most:
        return Slice(name, chip, _simulated(sizes[0]))
    if any(size % 2 and size > 1 for size in sizes) or math.prod(sizes) > chip.most:
        raise UserError(
            f"topology {name}: every side of a {kind} slice is 1 or even, and it has at most "
            f"{chip.most} chips"
        )
    if importlib.util.find_spec("libtpu") is None:
        raise UserError("compiling for a TPU needs the compiler in libtpu; pip install -e '.[pod]'")
    _prepare()
    # A host has 2 x 2 chips, or those that there are.
    bounds = [min(2, size) for size in sizes] + [1] * (3 - len(sizes))
    if chip.dimensions == 3:
        bounds[2] = 1
    try:
        described = topologies.get_topology_desc(
            name, platform="tpu", chips_per_host_bounds=bounds, **chip.options
        )
    except jax.errors.JaxRuntimeError as error:
        raise UserError(
            f"topology {name} is not to be had ({str(error).splitlines()[0]})"
        ) from error
    return Slice(name, chip, list(described.devices))


def by_size(names: Sequence[str]) -> list[str]:
    """Names of slices, that of the fewest chips first.

    Raises:
      UserError: as `load`.
    """
    sizes = {name: len(load(name).devices) for name in names}
    return sorted(sizes, key=lambda name: sizes[name])


def _simulated(count: int) -> list[Any]:
    """CPU devices in the place of GPUs: JAX compiles for a GPU only where there is one.

    Raises:
      UserError: JAX has started with fewer.
    """
    jax.config.update("jax_platforms", "cpu")
    simulate_devices(count)
    devices = jax.devices("cpu")
    if len(devices) < count:
        raise UserError(
            f"{count} GPUs are simulated by as many CPU devices, but JAX has started with "
            f"{len(devices)}; set JAX_NUM_CPU_DEVICES={count}"
        )
    return devices[:count]


def _prepare() -> None:
    """Keeps libtpu, which looks for the machine it is on as it starts, from asking the network."""
    jax.config.update("jax_platforms", "cpu")
    for name, value in {
        "TPU_SKIP_MDS_QUERY": "1",
        "TPU_ACCELERATOR_TYPE": "v4-8",
        "TPU_WORKER_HOSTNAMES": "localhost",
        "ALLOW_MULTIPLE_LIBTPU_LOAD": "1",  # its lock is for programs that hold a TPU
        "TPU_LOG_DIR": "disabled",
        "TPU_MIN_LOG_LEVEL": "3",
        "TPU_STDERR_LOG_LEVEL": "3",
    }.items():
        os.environ.setdefault(name, value)
