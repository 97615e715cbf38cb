import jax
import numpy as np
import pytest

from research.pods.equivalence import (
    after_one_step,
    communication,
    largest_difference,
    relative_difference,
)
from research.training import sharding
from research.training.program import Program
from tests.training.toy import build, settings


@pytest.fixture(scope="module")
def program():
    config = settings()
    return Program(build(config), sharding.make_mesh(config.mesh))


def test_same_seed_same_state(program):
    first, second, other = (after_one_step(program, seed, {}) for seed in (0, 0, 1))
    assert first["seen"] == 1
    assert largest_difference(first, second, "params") == 0
    assert largest_difference(first, other, "params") > 1e-3


def test_differences_are_relative_and_of_the_part_that_is_named():
    expected = {"a/trace": np.array([1.0, -4.0]), "b/trace": np.array([10.0]), "c": np.array([1.0])}
    got = {"a/trace": np.array([1.0, -3.0]), "b/trace": np.array([11.0]), "c": np.array([9.0])}
    assert largest_difference(got, expected, "trace") == 0.25


def test_one_device_sends_nothing(program):
    assert all(t.sent == 0 for t in communication(program))


@pytest.mark.parametrize(
    ("got", "expected", "difference"),
    [
        ({"a": [1.0, 2.0], "b": [np.nan]}, {"a": [1.0, 2.0], "b": [3.0]}, np.nan),
        ({"a": [1.0, 2.0], "b": [0.0]}, {"a": [1.0, 2.0], "b": [0.0]}, 0.0),
        ({"a": [1.0, 2.0], "b": [1e-9]}, {"a": [1.0, 2.0], "b": [0.0]}, np.inf),
    ],
)
def test_nothing_is_passed_over(got, expected, difference):
    got, expected = (
        jax.tree.map(np.asarray, tree, is_leaf=lambda x: isinstance(x, list))
        for tree in (got, expected)
    )
    np.testing.assert_equal(relative_difference(got, expected), difference)
