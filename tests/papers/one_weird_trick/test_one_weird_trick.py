"""The script's claims, and that what breaks the idea breaks a claim."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from research import app
from research import config as configs
from research.core.errors import UserError
from research.report.claims import Results
from tests.training.toy import ROOT

script = configs.load_module(ROOT / "experiments" / "one_weird_trick.py")
smoke = configs.load_config(ROOT / "configs" / "one_weird_trick.py", "smoke")

CHECKED = {
    "workers": 8,
    **{f"gradients/{scheme}": 3e-7 for scheme in ("a", "b", "c", "data")},
    "megabytes/a": 165.0,
    "megabytes/b": 165.0,
    "megabytes/c": 165.0,
    "megabytes/data": 254.0,
    "at_once/a": 37.7,
    "at_once/c": 37.7 / 8,
}


def holds(**changed):
    losses = {"small": 0.067, "large": 0.086, "variable": 0.067}
    losses |= {arm: value for arm, value in changed.items() if arm in losses}
    results = {arm: {"test/cross_entropy": np.array([loss])} for arm, loss in losses.items()}
    checked = {**CHECKED, **{k: v for k, v in changed.items() if k not in losses}}
    results["variable"] |= {name: np.array([value]) for name, value in checked.items()}
    return [bool(claim.holds) for claim in script.claims(Results(results))]


def test_claims_hold_for_what_they_say():
    assert holds() == [True] * 5


@pytest.mark.parametrize(
    ("broken", "row"),
    [
        ({"variable": 0.085}, 0),  # no better than a large batch
        ({"small": 0.055}, 1),
        ({"gradients/b": 0.875}, 2),  # a missing sum
        ({"megabytes/c": 230.0}, 3),
        ({"at_once/c": 37.7}, 4),  # everything at once
    ],
)
def test_what_is_broken_breaks_a_claim(broken, row):
    assert not holds(**broken)[row]


def test_one_device_has_nothing_to_compare_programs_by():
    results = {
        arm: {"test/cross_entropy": np.array([0.1])} for arm in ("small", "large", "variable")
    }
    assert len(script.claims(Results(results))) == 2
    assert script.claims(Results({"main": {}})) == []


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        ({"fc_batch_size": 48}, "multiple of fc_batch_size"),
        ({"scheme": "a"}, "scheme a has no rounds"),
    ],
)
def test_settings_that_are_refused(overrides, said):
    with pytest.raises(UserError, match=said):
        app.build(script, configs.with_overrides(smoke, overrides))


def test_rates_follow_the_batch_of_a_layer():
    """0.02 for 128 images: of the convolutions' batch for them, of the others' for the others."""
    overrides = {"batch_size": 1024, "fc_batch_size": 128, "total_images": 2048}
    experiment = app.build(script, configs.with_overrides(smoke, overrides))
    for learner, rate in ((experiment.trunk, 0.16), (experiment.head, 0.02)):
        params = {"kernel": np.zeros(1, np.float32)}
        updates, _ = learner.tx.update(
            {"kernel": np.ones(1, np.float32)}, learner.tx.init(params), params
        )
        np.testing.assert_allclose(updates["kernel"], -rate, rtol=1e-6)


@pytest.mark.slow
def test_programs_are_compared_on_eight_devices(tmp_path):
    command = [
        sys.executable,
        str(ROOT / "experiments/one_weird_trick.py"),
        "--arm=variable",
        "--config",
        "configs/one_weird_trick.py:smoke",
        "--workdir",
        str(tmp_path / "run"),
    ]
    subprocess.run(command, cwd=ROOT, env={**os.environ, "JAX_NUM_CPU_DEVICES": "8"}, check=True)
    found = json.loads((tmp_path / "run/variable/0/result.json").read_text())["metrics"]
    assert max(found[f"gradients/{scheme}"] for scheme in ("a", "b", "c", "data")) < 1e-5
    assert found["at_once/c"] == pytest.approx(found["at_once/a"] / 8)
