"""The command line of a run's demo: inputs by name, outputs printed or written to files."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from research.core.errors import UserError
from research.report.demo import Audio, Choice, Demo, Image, Input, Number, Output, Text
from research.report.demo_values import SUFFIXES, as_file, filled, in_words, read_value
from research.report.finished import FinishedRun, load_run

USAGE = """usage: python -m research demo RUN [--arm NAME] [--seed N] [--best] [--INPUT VALUE ...]
       [--out FILE] [--serve [--port N]] [--help]

  RUN            folder of a finished run
  --arm, --seed  which of its arms and seeds; default: the paper's own method, the first seed
  --best         its best checkpoint by config.best_metric, not its last
  --INPUT VALUE  an input of the demo; with RUN, --help lists them
  --out FILE     where the output goes; its suffix says which one: .png, .gif, .wav, or .txt for
                 what is printed
  --serve        the demo as a page in the browser, on this machine alone
  --port N       of the page; default: the first free one from 7860 on"""
RESERVED = ("arm", "seed", "best", "out", "serve", "port", "help")


def main(argv: Sequence[str]) -> None:
    """Runs the demo that a command line asks for.

    Raises:
      UserError: it cannot be understood, or the run or an input is bad.
    """
    words = list(argv)
    if not words or words[0].startswith("-"):
        if "--help" in words or "-h" in words:
            print(USAGE)
            return
        raise UserError(f"demo: which run?\n{USAGE}")
    folder, given = Path(words[0]), _flags(words[1:])
    arm, seed = given.pop("arm", None), given.pop("seed", None)
    best, serve = given.pop("best", None) is not None, given.pop("serve", None) is not None
    port, out = given.pop("port", None), given.pop("out", None)
    run = load_run(folder, arm=arm, seed=_whole("seed", seed), best=best, optimizer=False)
    demo = run.demo()
    if given.pop("help", None) is not None:
        print(describe(demo, run))
    elif serve:
        from research.report import demo_page  # Gradio is an extra

        demo_page.serve(demo, port=_whole("port", port))
    else:
        _run_once(demo, run, given, Path(out) if out else None)


def _run_once(demo: Demo, run: FinishedRun, given: Mapping[str, str], out: Path | None) -> None:
    unknown = [name for name in given if name not in demo.inputs]
    if unknown:
        known = ", ".join(f"--{name}" for name in demo.inputs)
        raise UserError(f"no input --{unknown[0]} in this demo; there are {known}")
    values = {name: read_value(name, demo.inputs[name], text) for name, text in given.items()}
    chosen = _chosen_output(demo, out) if out else None
    results = demo.run(**filled(demo, values))
    show(demo, results)
    stem = Path(str(run.script.__file__)).stem
    for path, content in _files(demo, results, out, chosen, stem).items():
        _write(path, content)


def show(demo: Demo, results: Mapping[str, Any]) -> None:
    """Prints outputs that are words or numbers."""
    for name, field in demo.outputs.items():
        if type(field) not in SUFFIXES:
            text = in_words(field, results[name])
            print(
                f"{field.label}:\n{textwrap.indent(text, '  ')}"
                if "\n" in text
                else f"{field.label}: {text}"
            )


def _chosen_output(demo: Demo, out: Path) -> str:
    """Which output a file is for: the first one that its suffix goes with; "" for what is printed.

    Raises:
      UserError: none is.
    """
    if out.suffix == ".txt":
        return ""
    fitting = [n for n, field in demo.outputs.items() if SUFFIXES.get(type(field)) == out.suffix]
    if not fitting:
        known = {SUFFIXES[type(f)] for f in demo.outputs.values() if type(f) in SUFFIXES}
        raise UserError(
            f"--out {out}: this demo writes {', '.join(sorted(known | {'.txt'}))}; "
            "choose one of these suffixes"
        )
    return fitting[0]


def _files(
    demo: Demo, results: Mapping[str, Any], out: Path | None, chosen: str | None, stem: str
) -> dict[Path, bytes]:
    """What is to be written where: pictures, films and sounds; with `out`, that one alone."""
    if out is not None and chosen == "":
        words = [
            f"{field.label}:\n{in_words(field, results[name])}"
            for name, field in demo.outputs.items()
            if type(field) not in SUFFIXES
        ]
        return {out: ("\n".join(words) + "\n").encode()}
    if out is not None and chosen is not None:
        return {out: as_file(demo.outputs[chosen], results[chosen])}
    return {
        Path(f"{stem}_{name}{SUFFIXES[type(field)]}"): as_file(field, results[name])
        for name, field in demo.outputs.items()
        if type(field) in SUFFIXES
    }


def _write(path: Path, content: bytes) -> None:
    said = "replaced" if path.exists() else "wrote"
    try:
        path.write_bytes(content)
    except OSError as error:
        raise UserError(f"cannot write {path} ({error.strerror})") from error
    print(f"{said} {path}", file=sys.stderr)


def describe(demo: Demo, run: FinishedRun) -> str:
    """What a demo takes and gives, for `--help`."""
    lines = [
        f"{demo.title} ({run.folder}, arm {run.arm}, seed {run.seed}, step {run.step})",
        *textwrap.wrap(demo.says, 80),
        "",
        "inputs:",
    ]
    for name, field in demo.inputs.items():
        lines += _entry(f"--{name} {_placeholder(field)}", f"{field.label}; {_default(field)}")
    lines += ["", "outputs:"]
    for name, output in demo.outputs.items():
        lines += _entry(name, f"{output.label}{_kind(output)}")
    return "\n".join(lines)


def _entry(head: str, text: str) -> list[str]:
    first, *more = textwrap.wrap(text, 54)
    rows = [f"  {head:22}  {first}"] if len(head) <= 22 else [f"  {head}", f"{'':26}{first}"]
    return rows + [f"{'':26}{line}" for line in more]


def _placeholder(field: Input) -> str:
    match field:
        case Number():
            return "N"
        case Image() | Audio():
            return "FILE"
        case Choice():
            return "NAME"
        case _:
            return "TEXT"


def _default(field: Input) -> str:
    match field:
        case Number():
            return f"{field.low:g} to {field.high:g}, default {field.default:g}"
        case Choice():
            return f"one of {', '.join(field.options)}; default {field.default}"
        case Text():
            return f"default {field.default!r}"
        case Audio():
            return "any sound that libsndfile reads"
        case _:
            return "any picture that Pillow reads"


def _kind(field: Output) -> str:
    suffix = SUFFIXES.get(type(field))
    return f" ({suffix})" if suffix else ""


def _flags(words: Sequence[str]) -> dict[str, str]:
    """Flags by name; those that take no value have "".

    Raises:
      UserError: a word that is no flag, a flag without its value, or one that is given twice.
    """
    given: dict[str, str] = {}
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if word == "-h":
            word = "--help"
        if not word.startswith("--"):
            raise UserError(f"demo: {word!r} is no flag; write --INPUT VALUE (--help lists them)")
        name, equals, value = word[2:].partition("=")
        if not equals and name not in ("best", "serve", "help"):
            if not rest:
                raise UserError(f"demo: --{name} needs a value")
            value = rest.pop(0)
        if name in given:
            raise UserError(f"demo: --{name} is given twice")
        given[name] = value
    return given


def _whole(name: str, text: str | None) -> int | None:
    if text is None:
        return None
    if not text.isdigit():
        raise UserError(f"--{name} takes a whole number, not {text!r}")
    return int(text)
