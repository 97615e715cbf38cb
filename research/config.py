"""Command-line flags and configuration files. Whatever is wrong with them is one line."""

from __future__ import annotations

import ast
import dataclasses
import difflib
import importlib.util
import sys
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from ml_collections import ConfigDict

from research.core import Experiment, UserError

ROOT = Path(__file__).resolve().parents[1]
USAGE = """usage: python {script} [--config FILE[:VARIANT]]
       [--config.KEY=VALUE ...]
       [--workdir FOLDER] [--arm NAME] [--dry_run TOPOLOGY]

  --config FILE[:VARIANT]  configuration, default {file};
                           its variants are below
  --config.KEY=VALUE       overrides one value, e.g. --config.seeds=1,2
  --workdir FOLDER         where checkpoints, metrics and results go; the same
                           command again resumes what was interrupted there;
                           default {workdir}
  --arm NAME               runs one of the compared arms alone:
                           {arms}
  --dry_run TOPOLOGY       compiles the train step for a slice such as v5e:4x8
                           or gpu:8; of several, v5e:2x2,v5e:4x4, for the
                           smallest that fits

variants (none: the claim check, minutes on a laptop):
{variants}
"""


@dataclasses.dataclass(frozen=True)
class Flags:
    """Parsed command line.

    Attributes:
      config: the configuration, overrides applied, locked.
      path: its file.
      variant: its variant, "" for the default.
      overrides: the overrides as given.
      workdir: None when not given.
      arm: None for all.
      dry_run: topology, or None.
    """

    config: ConfigDict
    path: Path
    variant: str
    overrides: Mapping[str, str]
    workdir: Path | None
    arm: str | None
    dry_run: str | None


def load_module(path: Path) -> ModuleType:
    """Imports a Python file by path."""
    spec = importlib.util.spec_from_file_location(
        f"_landmarks_{path.parent.name}_{path.stem}", path
    )
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    for root in (path.resolve().parent.parent, ROOT):  # for `from configs import common`
        if str(root) not in sys.path:
            sys.path.append(str(root))
    spec.loader.exec_module(module)
    return module


def load_config(path: Path, variant: str = "") -> ConfigDict:
    """The configuration `get_config(variant)` of a file.

    Raises:
      UserError: no such file or variant.
    """
    if not path.is_file():
        raise UserError(f"no configuration file {path}; --config takes FILE or FILE:VARIANT")
    module = load_module(path)
    if variant and variant not in module.VARIANTS:
        raise UserError(
            f"{path} has no variant {variant!r}{_near(variant, module.VARIANTS)}; "
            f"variants: {_few(module.VARIANTS)}"
        )
    return module.get_config(variant)


def build(module: ModuleType, config: ConfigDict) -> Experiment:
    """The experiment of a script: of its one `Experiment` class, or as its own `build` makes it.

    Raises:
      UserError: the configuration's values do not go together.
    """
    if hasattr(module, "build"):
        return module.build(config)
    own: list[Any] = [
        value
        for value in vars(module).values()
        if isinstance(value, type)
        and issubclass(value, Experiment)
        and value.__module__ == module.__name__
    ]
    if len(own) != 1:
        names = ", ".join(cls.__name__ for cls in own) or "no class"
        raise TypeError(f"{module.__name__} has {names} to choose from: give it a `build(config)`")
    return own[0](config)


def parse(argv: Sequence[str], script: Path) -> Flags:
    """Parses the command line of a script.

    Raises:
      UserError: an unknown flag, file, variant, key, or a value of another type.
      SystemExit: after `--help`.
    """
    default = script.parent.parent / "configs" / f"{script.stem}.py"
    if "--help" in argv or "-h" in argv:
        print(_usage(script, default))
        raise SystemExit(0)
    given: dict[str, str] = {}
    words = list(argv)
    while words:
        word = words.pop(0)
        name, equals, value = word.partition("=")
        known = ("--config", "--workdir", "--arm", "--dry_run")
        if name not in known and not name.startswith("--config."):
            raise UserError(f"unknown flag {word!r}{_near(name, known)}; --help lists them")
        if not equals:
            if not words or words[0].startswith("--"):
                raise UserError(f"flag {name} needs a value")
            value = words.pop(0)
        if name in given:
            raise UserError(f"flag {name} is given twice")
        given[name] = value

    file, _, variant = given.pop("--config", str(default)).partition(":")
    config = load_config(Path(file), variant)
    flags = {name: given.pop(name, None) for name in ("--workdir", "--arm", "--dry_run")}
    overrides = {name.removeprefix("--config."): value for name, value in given.items()}
    if "seed" in overrides:
        raise UserError(
            "--config.seed is set for each repeat; choose repeats with --config.seeds=1,2"
        )
    for key, text in overrides.items():
        override(config, key, text)
    config.lock()
    arms = arms_of(config)
    for key in overrides:
        setting = [arm for arm, values in arms.items() if key in values]
        if setting:
            raise UserError(
                f"--config.{key} is what the arms {_few(setting)} set, each to a value of its own; "
                "choose one with --arm, or another variant"
            )
    if flags["--arm"] is not None and flags["--arm"] not in arms:
        raise UserError(
            f"no arm {flags['--arm']!r}{_near(flags['--arm'], arms)}; arms: {_few(arms)}"
        )
    return Flags(
        config,
        Path(file),
        variant,
        overrides,
        Path(flags["--workdir"]) if flags["--workdir"] else None,
        flags["--arm"],
        flags["--dry_run"],
    )


def arms_of(config: ConfigDict) -> dict[str, dict[str, Any]]:
    """The compared settings as overrides; one called "main" where nothing is compared."""
    return {name: dict(config.arms[name]) for name in config.arms} or {"main": {}}


def with_overrides(config: ConfigDict, overrides: Mapping[str, Any]) -> ConfigDict:
    """A copy of a configuration with some values replaced; keys are dotted.

    Raises:
      UserError: an unknown key, or a value of another type.
    """
    copy = config.copy_and_resolve_references()
    for key, value in overrides.items():
        _set(copy, key, value)
    return copy


def to_plain(config: Any) -> Any:
    """A configuration as JSON has it: groups as objects, tuples as arrays."""
    if isinstance(config, (ConfigDict, Mapping)):
        return {key: to_plain(config[key]) for key in config}
    return [to_plain(x) for x in config] if isinstance(config, (tuple, list)) else config


def from_plain(plain: Mapping[str, Any]) -> ConfigDict:
    """The inverse of `to_plain`; the overrides of each arm stay dictionaries."""
    config = ConfigDict({key: _from_plain(value) for key, value in plain.items() if key != "arms"})
    arms = plain.get("arms", {})
    arms = {arm: {k: _from_plain(v) for k, v in values.items()} for arm, values in arms.items()}
    config.arms = ConfigDict(arms, convert_dict=False)
    return config


def _from_plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return ConfigDict({key: _from_plain(x) for key, x in value.items()})
    return tuple(map(_from_plain, value)) if isinstance(value, list) else value


def override(config: ConfigDict, key: str, text: str) -> None:
    """Sets a dotted key from the text of a flag, which must read as the type the key has.

    Raises:
      UserError: an unknown key, or a text that does not read as that type.
    """
    old = _get(config, key)
    if isinstance(old, ConfigDict):
        raise UserError(
            f"--config.{key} is a group; set one of {_few([f'{key}.{k}' for k in old])}"
        )
    _set(config, key, _read(key, old, text))


def _read(key: str, old: Any, text: str) -> Any:
    if isinstance(old, str):
        return text
    if isinstance(old, bool):
        if text.lower() in ("true", "false"):
            return text.lower() == "true"
        raise UserError(f"--config.{key}={text}: takes true or false")
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        value = text
    if isinstance(old, (tuple, list)):
        value = tuple(value) if isinstance(value, (tuple, list)) else (value,)
        kinds = {type(x) for x in old}
        if len(kinds) == 1 and any(type(x) not in kinds for x in value):
            raise UserError(f"--config.{key}={text}: takes values like {old!r}")
        return value
    if isinstance(old, float) and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if type(value) is not type(old):
        raise UserError(f"--config.{key}={text}: takes a {type(old).__name__}, like {old!r}")
    return value


def _get(config: ConfigDict, key: str) -> Any:
    node: Any = config
    for i, part in enumerate(key.split(".")):
        if not isinstance(node, ConfigDict) or part not in node:
            group = ".".join(key.split(".")[:i])
            names = (
                [f"{group}.{k}" if group else k for k in node]
                if isinstance(node, ConfigDict)
                else []
            )
            raise UserError(f"no configuration key {key!r}{_near(key, names)}; keys: {_few(names)}")
        node = node[part]
    return node


def _set(config: ConfigDict, key: str, value: Any) -> None:
    old = _get(config, key)
    *groups, last = key.split(".")
    node: Any = config
    for group in groups:
        node = node[group]
    try:
        node[last] = value
    except TypeError:
        raise UserError(
            f"{key}: takes a {type(old).__name__}, like {old!r}; got {value!r}"
        ) from None


def _near(word: str, known: Any) -> str:
    close = difflib.get_close_matches(word, list(known), n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""


def _few(names: Any, limit: int = 12) -> str:
    names = list(names)
    return ", ".join(names[:limit]) + (f", ... ({len(names)} in all)" if len(names) > limit else "")


def describe_variants(module: ModuleType) -> dict[str, list[str]]:
    """Names of a configuration file's variants, by what the docstrings say of them.

    Variants that are alike, such as dozens of games, have one description.
    """
    described: dict[str, list[str]] = {}
    for name, variant in module.VARIANTS.items():
        text = " ".join((variant.__doc__ or "").split("\n\n")[0].split())
        described.setdefault(text, []).append(name)
    return described


def shortened(names: Sequence[str]) -> str:
    """A few names as they are, the first two of many."""
    return ", ".join(names if len(names) < 4 else [*names[:2], f"... ({len(names)})"])


def _list_variants(module: ModuleType) -> str:
    """Names and descriptions as a list no wider than a terminal of 80 columns."""
    rows = {shortened(names): text for text, names in describe_variants(module).items()}
    wide = max(map(len, rows))
    lines = []
    for names, text in rows.items():
        first, *more = textwrap.wrap(text, 80 - wide - 4) or [""]
        lines.append(f"  {names:{wide}}  {first}".rstrip())
        lines += [" " * (wide + 4) + line for line in more]
    return "\n".join(lines)


def _usage(script: Path, default: Path) -> str:
    module = load_module(default)
    return USAGE.format(
        script=f"experiments/{script.name}",
        file=f"configs/{default.name}",
        variants=_list_variants(module),
        workdir=f"runs/{script.stem}[-VARIANT]",
        arms=_few(arms_of(module.get_config())),
    )
