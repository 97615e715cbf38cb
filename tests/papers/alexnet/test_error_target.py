"""Runs that end at an error: where they stop, and that stops change nothing of the training."""

import jax
import jax.numpy as jnp
import pytest

from research import training
from research.papers.alexnet.error_target import run_to_error
from research.training.writers import read_metrics
from tests.training.toy import Functions, settings

FELL = [90.0, 80.0, 50.0, 20.0, 10.0, 5.0]  # error in the course of the run


def build(steps):
    def step(state, batch, key):
        error = jnp.array(FELL)[state["t"] // 2]
        noise = jax.random.normal(key)
        return {"t": state["t"] + 1, "x": state["x"] + noise}, {"loss": error, "error": error}

    def init(key):
        return {"t": jnp.int32(0), "x": jnp.float32(0)}

    return Functions(init, step, steps)


@pytest.mark.parametrize(
    ("target", "reached", "stopped"), [(50.0, 6, 8), (60.0, 6, 8), (95.0, 2, 4), (1.0, 12, 12)]
)
def test_ends_at_the_first_stop_after_the_error_is_reached(target, reached, stopped, tmp_path):
    config = settings(log_every_steps=2)
    experiment = build(12)
    state, _, steps = run_to_error(experiment, [4, 8, 12], target, config, tmp_path / "stops")
    assert (steps, experiment.num_steps, int(state["t"])) == (reached, stopped, stopped)
    whole, _ = training.run(build(stopped), config, tmp_path / "whole")
    assert float(whole["x"]) == float(state["x"])
    errors = [r["error"] for r in read_metrics(tmp_path / "stops") if "error" in r]
    assert errors == FELL[: stopped // 2]
