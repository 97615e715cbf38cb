"""`python -m research pods`: full-size steps compiled for TPU slices, as one table."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from research import config as configs
from research.core import UserError
from research.pods import topology
from research.pods.dry_run import dry_run
from research.pods.dry_run_report import Report, size

ROOT = Path(__file__).resolve().parents[2]


@dataclasses.dataclass(frozen=True)
class Pod:
    """What is compiled for which slice.

    Attributes:
      name: in the table.
      script, variant: of the experiment.
      slice: such as "v5e:4x8".
      overrides: of the configuration, dotted keys.
    """

    name: str
    script: str
    variant: str
    slice: str
    overrides: Mapping[str, Any] = dataclasses.field(default_factory=dict)


BFLOAT16 = {"compute_dtype": "bfloat16"}
PODS = (
    Pod(
        "ResNet-50, batch 8,192",
        "resnet",
        "resnet50",
        "v5e:16x16",
        {**BFLOAT16, "batch_size": 8192},
    ),
    Pod("Transformer big, 25,000 tokens a side", "transformer", "big", "v5e:4x8", BFLOAT16),
    # One update for each step of all environments, on as many transitions.
    Pod(
        "DQN of 2015, 4,096 environments",
        "dqn_atari",
        "paper",
        "v5e:4x8",
        {
            **BFLOAT16,
            "env.num_envs": 4096,
            "agent.batch_size": 4096,
            "agent.agent_steps_per_update": 4096,
            "replay.capacity": 4096 * 244,
        },
    ),
    Pod("DCGAN, batch 128", "dcgan", "paper", "v5e:4x8", BFLOAT16),
    Pod(
        "One weird trick, scheme c, batch 1,024 / 128",
        "one_weird_trick",
        "paper",
        "v5e:2x4",
        BFLOAT16,
    ),
    Pod("GPT-3 175B, 3.2 M tokens", "gpt", "gpt3_175b", "v5p:8x8x16"),
)

COLUMNS = (
    "step",
    "slice",
    "parameters",
    "memory of a chip",
    "FLOPs of a chip",
    "sent by a chip",
    "FLOPs a byte",
    "step by roofline",
    "MFU",
    "fits",
    "compiled in",
)


def compile_pod(pod: Pod) -> Report:
    """Compiles one entry.

    Raises:
      UserError: as `dry_run`.
    """
    topology.load(pod.slice)  # before `build` starts JAX
    module = configs.load_module(ROOT / "experiments" / f"{pod.script}.py")
    config = configs.load_config(ROOT / "configs" / f"{pod.script}.py", pod.variant)
    config = configs.with_overrides(config, pod.overrides)
    published = module.PAPER.parameters[config.published_as] if config.published_as else None
    return dry_run(
        configs.build(module, config),
        pod.slice,
        config.mesh,
        steps_per_call=config.steps_per_call,
        published=published,
    )


def row(pod: Pod, report: Report) -> str:
    """A line of the table, in Markdown."""
    count = sum(found for found, _ in report.parameters.values())
    known = [expected for _, expected in report.parameters.values() if expected is not None]
    same = all(found == expected for found, expected in report.parameters.values())
    parameters = f"{count:,}"
    if known:
        parameters += " (as published)" if same else f" (published {sum(known):,})"
    cells = [pod.name, report.slice, parameters]
    each = report.flops / report.chips
    if report.roofline is None:
        return _line(
            [*cells, report.shortage, f"{each:.3g}", *["-"] * 4, "NO", f"{report.seconds:.0f} s"]
        )
    used = sum(report.memory.values())
    parts = ", ".join(f"{name} {size(count)}" for name, count in report.memory.items() if count)
    kinds = "; ".join(f"{t.kind} over {t.axis} {size(t.sent)}" for t in report.traffic if t.sent)
    line = report.roofline
    return _line(
        [
            *cells,
            f"{size(used)} of {size(report.chip.hbm)}: {parts}",
            f"{each:.3g}",
            kinds or "nothing",
            f"{line.intensity:.3g}",
            f"{1e3 * line.seconds:.3g} ms ({line.bound})",
            f"{100 * line.utilization:.2g} %",
            "yes" if report.fits else "NO",
            f"{report.seconds:.0f} s",
        ]
    )


def print_table(names: Sequence[str]) -> None:
    """Compiles the entries of these scripts, or all, and prints the table.

    Raises:
      UserError: no entry is of that script, or one cannot be compiled.
    """
    scripts = {pod.script for pod in PODS}
    unknown = [name for name in names if name not in scripts]
    if unknown:
        raise UserError(f"no pod for {unknown[0]}; there are {', '.join(sorted(scripts))}")
    print(_line(COLUMNS), _line(["---"] * len(COLUMNS)), sep="\n", flush=True)
    report = None
    for pod in PODS:
        if not names or pod.script in names:
            report = compile_pod(pod)
            print(row(pod, report), flush=True)
    if report is not None and report.roofline is not None:
        print(f"\nTimes assume {report.roofline.assumptions}.", file=sys.stderr)


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"
