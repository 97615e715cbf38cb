"""The table of full-size steps: its entries exist, and its rows say what a report says."""

import math

import pytest
from jax.sharding import AbstractMesh

from research import commands
from research import config as configs
from research.core.errors import UserError
from research.pods import table, topology
from research.pods.communication import Traffic
from research.pods.cost import Buffer
from research.pods.dry_run_report import Report
from research.pods.roofline import Roofline
from research.training import sharding

CHIP = topology.CHIPS["v5e"]
MESH = {"data": 4, "fsdp": 1, "model": 1}
FITTING = Report(
    "v5e:2x2",
    CHIP,
    MESH,
    {"": (10, 10)},
    8e12,
    12.0,
    {"parameters": 2**20, "optimizer": 0},
    Roofline(CHIP, 2e12, 1e9, 1e6),
    (Traffic("all-reduce", "data", 4, 1, 40, 60.0),),
)
POD = table.Pod("toy", "resnet", "", "v5e:2x2")


def test_a_row():
    cells = [cell.strip() for cell in table.row(POD, FITTING).strip("|").split("|")]
    assert len(cells) == len(table.COLUMNS)
    assert cells[:3] == ["toy", "v5e:2x2", "10 (as published)"]
    assert "1 MiB of 15.75 GiB: parameters 1 MiB" in cells[3] and "optimizer" not in cells[3]
    assert cells[5] == "all-reduce over data 60 B" and "(compute)" in cells[7]
    assert cells[9] == "yes"


def test_a_row_of_what_does_not_fit():
    short = Report(
        "v5e:2x2",
        CHIP,
        MESH,
        {"": (10, 11)},
        8e12,
        12.0,
        shortage="needs 20GiB of 15.75GiB",
        buffers=(Buffer(1, "f32[1]", "x"),),
    )
    text = table.row(POD, short)
    assert "NO" in text and "needs 20GiB" in text and "(published 11)" in text
    assert text.count("|") == len(table.COLUMNS) + 1


@pytest.mark.parametrize("pod", table.PODS, ids=lambda pod: pod.name)
def test_entries_exist_and_their_batches_divide(pod):
    """Configurations, overrides and batch sizes, without a compiler; rows are split over all axes
    of the mesh but that of the model."""
    config = configs.load_config(table.ROOT / "configs" / f"{pod.script}.py", pod.variant)
    config = configs.with_overrides(config, pod.overrides)
    kind, _, shape = pod.slice.partition(":")
    assert kind in topology.CHIPS
    ways = math.prod(map(int, shape.split("x"))) // config.mesh.model
    module = configs.load_module(table.ROOT / "experiments" / f"{pod.script}.py")
    experiment = configs.build(module, config)
    source = experiment.source
    if source is not None:
        mesh = AbstractMesh((ways, 1, config.mesh.model), sharding.AXES)
        sharding.check_batch(source, mesh, experiment.micro_batches)


def test_a_script_without_an_entry():
    with pytest.raises(UserError, match="no pod for bogus; there are dcgan"):
        table.print_table(["bogus"])
    assert commands.main(["pods", "bogus"]) == 2
