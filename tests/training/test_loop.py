import json
import os
import signal

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from research import training
from research.core import Experiment, UserError
from research.training import loop, sharding
from research.training.meter import NonFiniteLoss
from research.training.program import Program
from research.training.stopping import Stopped
from tests.training.toy import (
    Functions,
    Numbers,
    assert_close,
    assert_same,
    build,
    records,
    settings,
    train,
)


def resumed(config, folder, signals, **options):
    """Runs until it is through, interrupted by `signals`; the final state and the stops."""
    stops = []
    while True:
        experiment = build(config, signals={t: s for t, s in signals.items()}, **options)
        try:
            return train(experiment, config, folder), stops
        except Stopped as stopped:
            stops.append(str(stopped))
            signals = {t: s for t, s in signals.items() if t > min(signals)}


@pytest.mark.parametrize("steps_per_call", [1, 3])
@pytest.mark.parametrize("prefetch", [0, 1])
def test_stopped_and_resumed_is_bit_identical(tmp_path, steps_per_call, prefetch):
    config = settings(
        steps_per_call=steps_per_call,
        eval_every_steps=15,
        checkpoint_every_steps=8,
    )
    prefetch = {"prefetch": prefetch, "ema_decay": 0.9}
    whole = train(build(config, **prefetch), config, tmp_path / "whole")
    random = np.random.default_rng().choice(39, 2, replace=False)
    signals = {int(t): s for t, s in zip(sorted(random), (signal.SIGTERM, signal.SIGINT))}  # noqa: B905
    state, stops = resumed(config, tmp_path / "broken", signals, **prefetch)
    assert len(stops) >= 1, signals
    assert_same(whole, state)
    assert records(tmp_path / "whole") == records(tmp_path / "broken")


def test_a_finished_run_is_not_run_again(tmp_path):
    config = settings()
    second = build(config)
    state, numbers = training.run(build(config), config, tmp_path)
    lines = records(tmp_path)
    again, same_numbers = training.run(second, config, tmp_path)
    assert second.source.read == []
    assert_same(state, again)
    assert numbers == same_numbers and numbers.keys() == {"test/error"}
    assert records(tmp_path) == lines


def test_several_steps_in_a_call_are_bit_exact(tmp_path):
    runs = {}
    for k in (1, 7, 64):
        config = settings(steps_per_call=k, eval_every_steps=10, checkpoint_every_steps=9)
        runs[k] = train(build(config), config, tmp_path / str(k))
    for k in (7, 64):
        assert_same(runs[1], runs[k])
        assert records(tmp_path / "1") == records(tmp_path / str(k))


def test_boundaries_are_exact(tmp_path):
    """Log lines are means over their own steps; rare metrics ignore the steps that had none."""
    config = settings(steps_per_call=4, log_every_steps=7, eval_every_steps=20)
    train(build(config), config, tmp_path)
    lines = [line for line in records(tmp_path) if "loss" in line]
    assert [line["step"] for line in lines] == [7, 14, 21, 28, 35]
    assert [line["rare"] for line in lines] == [2.0, 10.0, 18.0, 24.0, 30.0]
    assert [line["rows"] for line in lines] == [16 * line["step"] for line in lines]
    evals = [line for line in records(tmp_path) if "test/error" in line]
    assert [line["step"] for line in evals] == [20, 40]


def test_a_period_without_a_number_is_null(tmp_path):
    config = settings(log_every_steps=1)
    train(build(config, num_steps=3), config, tmp_path)
    text = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert [line["rare"] for line in text if "rare" in line] == [0.0, None, None]


class Counting(Experiment):
    """Reports the number of each step and a number drawn with its key."""

    num_steps = 6

    def init(self, key):
        return {"sum": jax.random.normal(key)}

    def step(self, state, batch, t, key):
        value = jax.random.uniform(key)
        return {"sum": state["sum"] + value}, {"value": value, "t": t}


def test_a_step_is_told_its_number(tmp_path):
    for steps_per_call in (1, 4):
        config = settings(log_every_steps=1, steps_per_call=steps_per_call)
        train(Counting(), config, tmp_path / str(steps_per_call))
        lines = records(tmp_path / str(steps_per_call))
        assert [line["t"] for line in lines if "t" in line] == [0, 1, 2, 3, 4, 5]


def test_a_warm_start_takes_arrays_as_arguments_of_the_program(tmp_path):
    """None of them is a constant of what is compiled; a resumed run does not start anew."""

    class Warm(Counting):
        def warm_start(self, state, before):
            return {"sum": state["sum"] + before["big"].sum()}

    config, before = settings(), {"big": np.full(100_000, 0.5, np.float32)}
    cold = train(Counting(), config, tmp_path / "cold")
    warm = train(Warm(), config, tmp_path / "warm", before)
    np.testing.assert_allclose(warm["sum"], cold["sum"] + 50_000, rtol=1e-6)
    program = Program(Warm(), sharding.make_mesh(config.mesh), 1, before)
    text = program._jit_init.lower(np.uint32(0), before).as_text()
    assert "tensor<100000xf32>" in text.split("{", 3)[2] or "%arg1: tensor<100000xf32>" in text
    assert len(text) < 50_000
    assert_same(warm, train(Warm(), config, tmp_path / "warm", {"big": np.zeros(3, np.float32)}))


def test_the_key_of_a_step_depends_on_seed_and_step_alone(tmp_path):

    def values(name, **overrides):
        config = settings(log_every_steps=1, **overrides)
        train(Counting(), config, tmp_path / name)
        return [line["value"] for line in records(tmp_path / name) if "value" in line]

    first = values("a")
    assert len(set(first)) == 6
    assert first == values("b", steps_per_call=3, checkpoint_every_steps=2)
    assert not set(first) & set(values("c", seed=1))


@pytest.mark.parametrize(("steps_per_call", "at"), [(1, 12), (8, 12), (8, 16)])
def test_non_finite_loss_names_its_step_and_keeps_the_good_checkpoint(tmp_path, steps_per_call, at):
    config = settings(steps_per_call=steps_per_call, checkpoint_every_steps=8)
    with pytest.raises(NonFiniteLoss, match=f"loss is not finite at step {at}.*good .* step") as e:
        train(build(config, nan_at=at), config, tmp_path)
    assert f"last good checkpoint: step {at // 8 * 8}" in str(e.value)
    whole = train(build(config), config, tmp_path / "whole")
    assert_same(whole, train(build(config), config, tmp_path))  # with the data mended


def test_parameters_that_are_not_finite_are_never_saved(tmp_path):
    """The loss of a step is finite, its gradient is not: the state after it is already lost."""

    def experiment():
        learner_state = {"params": {"w": jnp.ones(3)}}

        def step(state, batch, key):
            w = state["params"]["w"]
            w = jnp.where(state["step"] == 7, jnp.nan, w)
            return {"params": {"w": w}, "step": state["step"] + 1}, {"loss": jnp.float32(1.0)}

        return Functions(lambda key: {**learner_state, "step": jnp.zeros((), int)}, step, 20)

    config = settings(checkpoint_every_steps=4)
    with pytest.raises(NonFiniteLoss, match="params/w .* after step 8.*last good .* step 4"):
        train(experiment(), config, tmp_path)


def test_evaluations_read_the_state_and_do_not_change_it(tmp_path):
    config = settings(eval_every_steps=3)
    often = train(build(config), config, tmp_path / "often")
    config = settings()
    assert_same(often, train(build(config), config, tmp_path / "once"))


def test_a_stop_right_after_an_evaluation_repeats_no_line(tmp_path, monkeypatch):
    config = settings(eval_every_steps=6)
    whole = train(build(config), config, tmp_path / "whole")
    record = loop._Run._record

    def stopped_after(self, step, numbers):
        record(self, step, numbers)
        if step == 6:
            os.kill(os.getpid(), signal.SIGTERM)

    with monkeypatch.context() as patch:
        patch.setattr(loop._Run, "_record", stopped_after)
        with pytest.raises(Stopped):
            train(build(config), config, tmp_path / "broken")
    assert_same(whole, train(build(config), config, tmp_path / "broken"))
    lines = [[line["step"] for line in records(tmp_path / name)] for name in ("whole", "broken")]
    assert lines[0] == lines[1]


def test_batches_of_several_shapes(tmp_path):
    rows = (16, 8, 12)
    config = settings(checkpoint_every_steps=5)
    whole = train(build(config, rows=rows), config, tmp_path / "whole")
    state, stops = resumed(config, tmp_path / "broken", {17: signal.SIGTERM}, rows=rows)
    assert stops
    assert_same(whole, state)
    config = settings(steps_per_call=4)
    with pytest.raises(UserError, match="steps_per_call=1"):
        train(build(config, rows=rows), config, tmp_path / "stacked")


def test_nothing_is_written_or_compiled_for_bad_input(tmp_path):
    class Missing(Numbers):
        def open(self):
            raise UserError("no data")

    for overrides, accumulate, said in (
        ({"mesh__data": 3}, 1, "does not match"),
        ({}, 5, "batch of 16"),
        ({}, 1, "no data"),
    ):
        config = settings(**overrides)
        experiment = build(config, accumulate=accumulate)
        experiment.source.__class__ = Missing
        with pytest.raises(UserError, match=said):
            train(experiment, config, tmp_path / "run")
        assert not (tmp_path / "run").exists()


def test_the_host_is_at_most_one_step_ahead(tmp_path):
    """While step t is being handed out, everything up to step t - 2 has finished."""
    finished, gaps = [], []

    class Watching(Numbers):
        def __call__(self, state):
            gaps.append(self.index - len(finished))
            return super().__call__(state)

    def step(state, batch, key):
        slow = jax.lax.fori_loop(0, 300, lambda _, x: jnp.tanh(x @ x), jnp.ones((64, 64)))
        jax.debug.callback(lambda _: finished.append(1), slow.sum(), ordered=False)
        return {"x": state["x"] + slow.sum()}, {"loss": slow.sum()}

    source = Watching(prefetch=1)
    experiment = Functions(lambda key: {"x": jnp.zeros(())}, step, 30, source)
    config = settings()
    train(experiment, config, tmp_path)
    # When batch i is read ahead, step i - 1 was just handed out, and i - 2 may be at work.
    assert max(gaps) <= 2
    assert len(finished) == 30


def test_accumulation_equals_the_whole_batch(tmp_path):
    config = settings()
    assert_close(
        train(build(config, noise=0.0), config, tmp_path / "whole"),
        train(build(config, noise=0.0, accumulate=4), config, tmp_path / "parts"),
    )


def test_batches_of_the_newest_state_share_no_dispatch(tmp_path):
    config = settings(steps_per_call=2)
    experiment = build(config, prefetch=0)
    experiment.source.every_step = True
    with pytest.raises(UserError, match="steps_per_call=1"):
        train(experiment, config, tmp_path / "run")
    assert not (tmp_path / "run").exists()
