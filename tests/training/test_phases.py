"""Rates at given epochs and batches; phases that hand on their state and resume where they were."""

import jax.numpy as jnp
import numpy as np
import pytest

from research.core.errors import UserError
from research.papers.imagenet_18min.rate_phases import RatePhase, phase_rate, rate_by_step
from research.training import phases as library
from research.training.phases import run_phases
from tests.training import toy

# 4 machines, as released.
FOUR = [
    RatePhase(*p)
    for p in (
        (0, 2.0, 6, 4.0),
        (6, 4.0),
        (11, 4.0, 13, 2.0),
        (13, 1.75),
        (16, 1.75, 23, 0.175),
        (23, 0.175, 28, 0.0175),
        (28, 0.01, 30, 0.001),
    )
]


@pytest.mark.parametrize(
    ("epoch", "rate"),
    [
        (0, 2.0),
        (3, 3.0),
        (5.5, 2 + 2 * 5.5 / 6),
        (6, 4.0),
        (10.9, 4.0),
        (12, 3.0),
        (13, 1.75),
        (15.99, 1.75),
        (19.5, (1.75 + 0.175) / 2),
        (23, 0.175),
        (28, 0.01),
        (29, 0.0055),
        (31, 0.001),
    ],
)
def test_rates_at_epochs(epoch, rate):
    np.testing.assert_allclose(phase_rate(FOUR, epoch), rate, rtol=1e-4)


def test_the_rate_changes_with_every_batch():
    """Batch b of B in epoch e: e + b / B; a phase of training knows where it begins."""
    schedule = rate_by_step(FOUR, 16.0, 50)
    for epoch, batch in ((16, 0), (16, 1), (17, 25), (22, 49)):
        step = (epoch - 16) * 50 + batch
        expected = 1.75 + (0.175 - 1.75) * (epoch - 16 + batch / 50) / 7
        np.testing.assert_allclose(schedule(jnp.int32(step)), expected, rtol=1e-4)


@pytest.mark.parametrize(
    "wrong", [[], [RatePhase(1, 0.1)], [RatePhase(0, 0.1), RatePhase(5, 0.1), RatePhase(3, 0.1)]]
)
def test_phases_out_of_order_are_refused(wrong):
    with pytest.raises(UserError, match="begin at 0 and are in order"):
        phase_rate(wrong, 0.0)


def build(index):
    """10 steps of toy training each, of 16 or 32 rows."""
    experiment = toy.build(toy.settings(), num_steps=10, rows=(16 * (index + 1),))
    experiment.warm_start = lambda state, before: before
    experiment.per_step = {"rows": 16 * (index + 1)}
    return experiment


def test_phases_hand_on_their_state(tmp_path):
    experiment, state, numbers = run_phases(build, 2, toy.settings(), tmp_path)
    assert experiment.per_step == {"rows": 32} and numbers.keys() == {"test/error"}
    assert int(state["seen"]) == 20  # counted through both
    records = toy.records(tmp_path)
    assert [r["step"] for r in records if "loss" in r] == [5, 10, 15, 20]
    assert [r["rows"] for r in records if "loss" in r] == [80, 160, 320, 480]
    first, second = (toy.records(tmp_path / f"phase_{i}") for i in range(2))
    assert records[: len(first)] == first and len(records) == len(first) + len(second)


def test_an_interrupted_run_passes_over_what_has_ended(tmp_path, monkeypatch):
    _, unbroken, _ = run_phases(build, 2, toy.settings(), tmp_path / "unbroken")
    run, started = library.run, []

    def dies_in_the_second(experiment, config, folder, before):
        started.append(folder.name)
        if folder.name == "phase_1" and len(started) == 2:
            raise KeyboardInterrupt
        return run(experiment, config, folder, before)

    monkeypatch.setattr(library, "run", dies_in_the_second)
    with pytest.raises(KeyboardInterrupt):
        run_phases(build, 2, toy.settings(), tmp_path / "run")
    assert len(toy.records(tmp_path / "run")) == len(toy.records(tmp_path / "run" / "phase_0"))
    _, resumed, _ = run_phases(build, 2, toy.settings(), tmp_path / "run")
    toy.assert_same(unbroken, resumed)
    assert toy.records(tmp_path / "run") == toy.records(tmp_path / "unbroken")
