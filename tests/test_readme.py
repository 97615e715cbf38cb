"""The README's example of an agent of one's own runs as it stands."""

import re
from pathlib import Path

import numpy as np

README = Path(__file__).parents[1] / "README.md"


def test_the_example_of_an_agent_runs():
    [source] = re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    names = {}
    exec(compile(source, str(README), "exec"), names)
    assert np.isfinite(names["w"]).all() and np.abs(names["w"]).max() > 0
    assert (names["memory"].filled >= 99).all()
