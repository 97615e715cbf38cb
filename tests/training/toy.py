"""A tiny experiment, and a command that runs it in a process of its own."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P

ROOT = Path(__file__).resolve().parents[2]
if __name__ == "__main__":
    sys.path[:0] = [str(ROOT)]

from research import training  # noqa: E402
from research.core import Aux, Experiment, Learner, Source  # noqa: E402
from research.core.tree import named_leaves  # noqa: E402
from research.training import hosts, sharding  # noqa: E402
from research.training.stopping import Stopped  # noqa: E402
from research.training.writers import read_metrics  # noqa: E402

ROWS, FEATURES = 16, 4


class Numbers(Source):
    """Global batch t is a function of t; each process gives its own rows.

    Args:
      rows: of a global batch; with several, batch t has `rows[t % len(rows)]`.
      seconds: that a batch takes.
      signals: signal that this process sends itself while batch t is read.
      nan_at: batch that holds a NaN.
      prefetch: see `Source`.
    """

    def __init__(self, rows=(ROWS,), seconds=0.0, signals=None, nan_at=-1, prefetch=1):
        self.rows, self.seconds, self.nan_at, self.prefetch = rows, seconds, nan_at, prefetch
        self.signals = dict(signals or {})
        self.row_counts = rows
        self.spec = {"x": jax.ShapeDtypeStruct((max(rows), FEATURES), jnp.float32)}
        self.index = 0
        self.read: list[int] = []

    def __call__(self, state):
        t = self.index
        if t in self.signals:
            os.kill(os.getpid(), self.signals.pop(t))
        time.sleep(self.seconds)
        rows = self.rows[t % len(self.rows)]
        x = np.random.default_rng(t).normal(size=(rows, FEATURES)).astype(np.float32)
        if t == self.nan_at:
            x[rows // 2] = np.nan
        self.index += 1
        self.read.append(t)
        own = rows // jax.process_count()
        return {"x": x[jax.process_index() * own :][:own]}

    def get_state(self):
        return {"index": self.index}

    def set_state(self, state):
        self.index = state["index"]


class Net(nn.Module):
    width: int = 8
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x):
        x = nn.relu(nn.Dense(self.width, dtype=self.dtype)(x))
        return nn.Dense(1, dtype=self.dtype)(x)


class Functions(Experiment):
    """An experiment of functions: `init(key)`, `step(state, batch, key)`, `evaluate`."""

    def __init__(self, init, step, num_steps, source=None, evaluate=None, **attributes):
        self.init, self.num_steps, self.source = init, num_steps, source
        self.step = lambda state, batch, t, key: step(state, batch, key)
        if evaluate is not None:
            self.evaluate = evaluate
        for name, value in attributes.items():
            setattr(self, name, value)


def build(
    config, num_steps=40, width=8, rules=(), noise=0.1, accumulate=1, ema_decay=0.0, **source
):
    """A regression with noise from the step's key, batches from the host and an evaluation."""
    learner = Learner(
        Net(width, jnp.dtype(config.compute_dtype)),
        optax.adam(1e-2),
        accumulate,
        config.max_grad_norm,
        ema_decay,
    )

    def init(key):
        return {"net": learner.init(key, jnp.zeros((1, FEATURES))), "seen": jnp.zeros((), int)}

    def loss_fn(variables, batch, key):
        x = batch["x"]
        y = learner.apply(variables, x)[:, 0].astype(jnp.float32)
        target = x.sum(-1) + noise * jax.random.normal(key)
        return jnp.mean((y - target) ** 2), Aux({"mean": y.mean()})

    def step(state, batch, key):
        net, metrics = learner.minimize(state["net"], loss_fn, batch, key)
        # Reported at every fourth step only.
        metrics["rare"] = jnp.where(state["seen"] % 4 == 0, 1.0 * state["seen"], jnp.nan)
        return {"net": net, "seen": state["seen"] + 1}, metrics

    def test(state, key):
        x = jax.random.normal(key, (64, FEATURES))
        y = learner.apply(learner.eval_variables(state["net"]), x)[:, 0]
        return {"test/error": jnp.mean((y - x.sum(-1)) ** 2)}

    return Functions(
        init,
        step,
        num_steps,
        Numbers(**source),
        test,
        rules=rules,
        per_step={"rows": ROWS},
        micro_batches=accumulate,
    )


def train(experiment, config, workdir, before=None):
    """The final state of `training.run`, without its numbers."""
    return training.run(experiment, config, workdir, before)[0]


FSDP = (("kernel$", P("fsdp")),)
TENSOR = (("Dense_0/kernel$", P("fsdp", "model")), ("Dense_1/kernel$", P("model")))


def settings(**overrides):
    """`run_config` with dotted overrides, logging at every fifth step."""
    config = training.run_config()
    config.log_every_steps = 5
    for name, value in overrides.items():
        *path, last = name.split("__")
        inner = config
        for key in path:
            inner = inner[key]
        inner[last] = value
    return config


def leaves(state) -> dict[str, np.ndarray]:
    """A state as NumPy arrays by path name."""
    return {name: np.asarray(leaf) for name, leaf in named_leaves(state).items()}


def records(workdir: Path) -> list[dict[str, float]]:
    """`metrics.jsonl` without its clock."""
    return [{k: v for k, v in r.items() if k != "seconds"} for r in read_metrics(workdir)]


def assert_same(first, second):
    """Bit-identical states."""
    first, second = leaves(first), leaves(second)
    assert first.keys() == second.keys()
    for name in first:
        np.testing.assert_array_equal(first[name], second[name], err_msg=name, strict=True)


def assert_close(first, second, rtol=2e-5, atol=1e-6):
    first, second = leaves(first), leaves(second)
    assert first.keys() == second.keys()
    for name in first:
        np.testing.assert_allclose(first[name], second[name], rtol, atol, err_msg=name)


@dataclasses.dataclass
class Job:
    """Processes that train together, each with `devices` simulated devices.

    Attributes:
      folder: where runs go.
      runs: name -> overrides of `settings`, options of `build`; made one after the other.
    """

    folder: Path
    runs: dict[str, tuple[dict[str, Any], dict[str, Any]]]
    processes: int = 1
    devices: int = 1

    def start(self, *alone: dict[str, Any]) -> list[subprocess.Popen[str]]:
        """Starts them; `alone[i]` are further options of `build` in process i only."""
        env = {**os.environ, "JAX_NUM_CPU_DEVICES": str(self.devices)}
        if self.processes > 1:
            env["JAX_NUM_PROCESSES"] = str(self.processes)
            env["JAX_COORDINATOR_ADDRESS"] = f"127.0.0.1:{free_port()}"
        started = []
        for i in range(self.processes):
            own = alone[i] if i < len(alone) else {}
            runs = {name: (config, {**build, **own}) for name, (config, build) in self.runs.items()}
            started.append(
                subprocess.Popen(
                    [sys.executable, __file__, json.dumps([str(self.folder), runs])],
                    env=env | ({"JAX_PROCESS_ID": str(i)} if self.processes > 1 else {}),
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                )
            )
        return started

    def finish(self, started: list[subprocess.Popen[str]], seconds: float = 120.0) -> list[str]:
        """Waits until all have ended well; their outputs."""
        try:
            outputs = [process.communicate(timeout=seconds)[0] for process in started]
        finally:
            for process in started:
                process.kill()
        for process, output in zip(started, outputs, strict=True):
            assert process.returncode == 0, output
        return outputs

    def final(self, name: str) -> dict[str, np.ndarray]:
        """The final state of a run, the same in all processes."""
        paths = [self.folder / name / f"final-{i}.npz" for i in range(self.processes)]
        states = [dict(np.load(path)) for path in paths]
        for other in states[1:]:
            assert_same(states[0], other)
        return states[0]


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def main(folder: str, runs: dict[str, tuple[dict[str, Any], dict[str, Any]]]) -> None:
    hosts.initialize()
    for name, (overrides, options) in runs.items():
        config = settings(**overrides)
        rules = {"fsdp": FSDP, "tensor": TENSOR}.get(options.pop("rules", ""), ())
        signals = options.pop("signals", {})
        experiment = build(
            config,
            rules=rules,
            signals={int(t): signal.Signals[s] for t, s in signals.items()},
            **options,
        )
        workdir = Path(folder) / name
        try:
            state, _ = training.run(experiment, config, workdir)
        except Stopped as stopped:
            print(stopped)
            continue
        replicated = NamedSharding(sharding.make_mesh(config.mesh), P())
        state = jax.jit(lambda state: state, out_shardings=replicated)(state)
        np.savez(workdir / f"final-{jax.process_index()}.npz", **leaves(state))


if __name__ == "__main__":
    main(*json.loads(sys.argv[1]))
