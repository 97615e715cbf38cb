import pytest

from research.pods.roofline import Roofline
from research.pods.topology import CHIPS

V5E = CHIPS["v5e"]


def test_the_slowest_of_three_decides():
    line = Roofline(V5E, flops=197e12, hbm_bytes=819e9 / 2, sent_bytes=200e9 / 4)
    assert line.parts == pytest.approx({"compute": 1.0, "memory": 0.5, "network": 0.25})
    assert (line.bound, line.seconds, line.utilization) == ("compute", 1.0, 1.0)
    slow = Roofline(V5E, 197e12, 819e9 * 4, 200e9)
    assert (slow.bound, slow.seconds, slow.utilization) == ("memory", 4.0, 0.25)
    assert slow.intensity == pytest.approx(197e12 / (819e9 * 4))
    assert Roofline(V5E, 0.0, 1.0, 200e9).bound == "network"


def test_a_step_that_computes_nothing():
    idle = Roofline(V5E, 0.0, 0.0, 0.0)
    assert (idle.seconds, idle.utilization, idle.intensity) == (0.0, 0.0, 0.0)


def test_assumptions_are_said():
    assert "197 TFLOP/s, 819 GB/s of memory" in Roofline(V5E, 1.0, 1.0, 1.0).assumptions
