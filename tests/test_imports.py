"""What importing a part of the library loads."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize("module", ["research.models.dcgan", "research.rl.acting.rollouts"])
def test_a_module_loads_neither_the_loop_nor_its_writers(module):
    heavy = ("orbax", "tensorboardX", "research.training", "ml_collections")
    code = f"import sys, {module}; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
