"""The records that the network learns from: the simulated plant's, or a table."""

from __future__ import annotations

import functools

import numpy as np

from research.data.procedural import data_center
from research.data.tables import Table, read_table

SIMULATED = "data_center"
TARGET = "PUE"
# The two set points that are moved together: a plant whose towers alone were set warmer would start
# its chillers, which the network, asked with their number fixed, knows nothing of.
SET_POINTS = ("leaving_water_set_point", "injection_set_point")


def open_table(
    name: str, target: str, folder: str, num_rows: int, minutes: float, seed: int
) -> Table:
    """The table of this name.

    Args:
      name: `SIMULATED`, or a name for `read_table`.
      target: name of the column to predict; of the simulated plant it is "PUE".
      folder: of `data.load`.
      num_rows, minutes, seed: of the simulated plant: samples, time between them, and its number.
    """
    if name != SIMULATED:
        return read_table(name, target, folder)
    inputs, true_pue = data_center.operate(conditions(num_rows, minutes, seed))
    pue = data_center.measure(true_pue, seed).astype(np.float32)
    origin = f"simulated data center {seed}, {num_rows} samples every {minutes:g} minutes"
    return Table(tuple(data_center.INPUTS), inputs, TARGET, pue, origin)


@functools.lru_cache(maxsize=4)
def conditions(num_rows: int, minutes: float, seed: int) -> data_center.Conditions:
    """What the simulated plant was run under."""
    return data_center.conditions(num_rows, seed, minutes)


def shift_set_points(
    plant: data_center.Conditions, shift: float | np.ndarray
) -> data_center.Conditions:
    """The same conditions with both set points moved by `shift`, one or `[N]`, in F."""
    return plant.replace(**{name: getattr(plant, name) + shift for name in SET_POINTS})


def fewer_servers(plant: data_center.Conditions, share: float) -> data_center.Conditions:
    """The same conditions with this share of the servers' load."""
    return plant.replace(it_load=share * plant.it_load)
