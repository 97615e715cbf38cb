import os
import subprocess
import sys

import pytest

from tests.training.toy import ROOT


@pytest.mark.parametrize(
    ("env", "first", "devices"),
    [
        ({}, "", 4),
        ({"JAX_NUM_CPU_DEVICES": "2"}, "", 2),  # the user's word
        ({}, "import jax; jax.devices();", 1),  # too late
    ],
)
def test_devices_of_one_cpu(env, first, devices):
    code = (
        f"{first}\nfrom research.pods.simulated import simulate_devices; simulate_devices(4);"
        "import jax; print(jax.device_count())"
    )
    inherited = {k: v for k, v in os.environ.items() if k != "JAX_NUM_CPU_DEVICES"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**inherited, **env},
        capture_output=True,
        text=True,
    )
    assert done.stdout.strip() == str(devices), done.stderr
