"""Command-line flags and configuration files. Whatever is wrong with them is one line."""

from __future__ import annotations

import ast
import contextlib
import dataclasses
import difflib
import importlib.util
import math
import os
import shlex
import sys
import textwrap
import traceback
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from ml_collections import ConfigDict

from research import schema
from research.core.errors import UserError, first_line, quoted
from research.core.reading import expand_user, is_file, is_folder

if TYPE_CHECKING:
    from research.core.experiment import Experiment

ROOT = Path(__file__).resolve().parents[1]
USAGE = """usage: python {script} [--config FILE[:VARIANT]]
       [--config.KEY=VALUE ...]
       [--workdir FOLDER] [--arm NAME] [--dry_run TOPOLOGY] [--print_config]

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
  --print_config           prints every key with its value and runs nothing

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
      UserError: no such file or variant, or the file is no configuration.
    """
    return _read_config(path, variant)[0]


def _read_config(path: Path, variant: str) -> tuple[ConfigDict, Mapping[str, schema.Allowed]]:
    """The configuration of a file, and what it says of the values of its own keys."""
    if not is_file(path):
        raise UserError(f"no configuration file {path}; --config takes FILE or FILE:VARIANT")
    if path.suffix != ".py":
        raise UserError(f"the configuration {path} is a Python file: its name ends in .py")
    with _naming(path):
        module = load_module(path)
    missing = [name for name in ("get_config", "VARIANTS") if not hasattr(module, name)]
    if missing:
        raise UserError(f"{path} is no configuration: it has no {' and no '.join(missing)}")
    if variant and variant not in module.VARIANTS:
        raise UserError(
            f"{path} has no variant {quoted(variant)}{_near(variant, module.VARIANTS)}; "
            f"variants: {_few(module.VARIANTS)}"
        )
    with _naming(path):
        config = module.get_config(variant)
    if not isinstance(config, ConfigDict):
        raise UserError(f"{path} is no configuration: get_config gives {quoted(config)}")
    return config, getattr(module, "ALLOWED", {})


@contextlib.contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Turns what a configuration file raises into one line with the line it came from."""
    try:
        yield
    except UserError:
        raise
    except (Exception, SystemExit) as error:
        lines = [
            f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == str(path)
        ]
        line = error.lineno if isinstance(error, SyntaxError) else (lines or [None])[-1]
        where = f"{path}, line {line}" if line else str(path)
        raise UserError(f"{where}: {type(error).__name__}: {first_line(error)}") from error


def build(module: ModuleType, config: ConfigDict) -> Experiment:
    """The experiment of a script: of its one `Experiment` class, or as its own `build` makes it.

    Raises:
      UserError: the configuration's values do not go together.
    """
    from research.core.experiment import Experiment  # loads JAX, which flags do not need

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
      SystemExit: after `--help` or `--print_config`.
    """
    default = script.parent.parent / "configs" / f"{script.stem}.py"
    if "--help" in argv or "-h" in argv:
        print(_usage(script, default))
        raise SystemExit(0)
    given: dict[str, str] = {}
    words, shown = list(argv), False
    while words:
        word = words.pop(0)
        if word == "--print_config":
            shown = True
            continue
        name, equals, value = word.partition("=")
        known = ("--config", "--workdir", "--arm", "--dry_run", "--print_config")
        if name not in known and not name.startswith("--config."):
            raise UserError(f"unknown flag {quoted(word)}{_near(name, known)}; --help lists them")
        if not equals:
            if not words or words[0].startswith("--"):
                raise UserError(f"flag {name} needs a value")
            value = words.pop(0)
        if name in given:
            raise UserError(f"flag {name} is given twice")
        given[name] = value

    file, variant = _file_and_variant(given.pop("--config", str(default)))
    config, allowed = _read_config(file, variant)
    _check_keys(config, file, default)
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
    if flags["--arm"] is not None and flags["--arm"] not in arms:
        raise UserError(
            f"no arm {quoted(flags['--arm'])}{_near(flags['--arm'], arms)}; arms: {_few(arms)}"
        )
    run = [flags["--arm"]] if flags["--arm"] is not None else arms
    for key in overrides:
        setting = [arm for arm in run if key in arms[arm]]
        if setting:
            raise UserError(
                f"--config.{key} is what the arms {_few(setting)} set, each to a value of its own; "
                "choose one that does not with --arm, or another variant"
            )
    check_values(config, allowed)
    if "data.dir" in overrides:
        _check_folders(config.data.dir)
    if shown:
        print(as_flags(config, flags["--arm"]))
        raise SystemExit(0)
    return Flags(
        config,
        file,
        variant,
        overrides,
        _workdir(flags["--workdir"]),
        flags["--arm"],
        flags["--dry_run"],
    )


def _file_and_variant(value: str) -> tuple[Path, str]:
    """Parts of FILE or FILE:VARIANT; there may be colons in a file's name."""
    if ":" not in value or is_file(Path(value)):
        return Path(value), ""
    file, _, variant = value.rpartition(":")
    return Path(file), variant


def _check_keys(config: ConfigDict, file: Path, default: Path) -> None:
    """Refuses a configuration that lacks what the script's own has."""
    if file == default or not is_file(default):
        return
    found = dict(flat(config))
    missing = [key for key, _ in flat(load_config(default)) if key not in found]
    if missing:
        raise UserError(
            f"{file} lacks {_few(missing, 3)}: is it the configuration of another script? "
            f"That of this one is {default.name}"
        )


def _workdir(value: str | None) -> Path | None:
    if not value:
        return None
    if "://" in value:
        raise UserError(
            f"workdir {quoted(value)} is not in this machine's file system; mount it and give the "
            "folder, or choose another --workdir"
        )
    folder = expand_user(value, "--workdir")
    is_folder(folder, "--workdir")  # it can be looked at
    return folder


def _check_folders(value: str) -> None:
    """Refuses folders of data that are not there, whether or not the run would look into them."""
    for entry in filter(None, value.split(os.pathsep)):
        if not is_folder(expand_user(entry, "--config.data.dir"), "--config.data.dir"):
            raise UserError(
                f"--config.data.dir names {quoted(entry)}, which is not a folder; correct it"
            )


def flat(config: ConfigDict, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yields dotted keys and their values, without the arms."""
    for key in config:
        name, value = f"{prefix}{key}", config[key]
        if isinstance(value, ConfigDict):
            if name != "arms":
                yield from flat(value, f"{name}.")
        else:
            yield name, value


def as_flags(config: ConfigDict, arm: str | None = None) -> str:
    """Every key of a configuration as a flag that sets it, a line each, ready for a shell.

    Args:
      arm: the arm whose values are shown; None for those before any arm, with what each arm sets.
    """

    def flag(key: str, value: Any) -> str:
        value = to_flag(value)
        return shlex.quote(f"--config.{key}={value}")

    arms = arms_of(config)
    if arm is not None:
        return "\n".join(flag(k, v) for k, v in flat(with_overrides(config, arms[arm])))
    # What the arms set cannot be given for all of them.
    of_arms = {"seed"}.union(*arms.values())
    lines = [flag(key, value) for key, value in flat(config) if key not in of_arms]
    for name, values in arms.items():
        if values:
            lines.append(f"# arm {name}: " + " ".join(flag(k, v) for k, v in values.items()))
    return "\n".join(lines)


def to_flag(value: Any) -> str:
    """A value as the text of a flag that `override` reads back."""
    if isinstance(value, bool):
        return str(value).lower()
    return value if isinstance(value, str) else repr(value)


def check_values(config: ConfigDict, allowed: Mapping[str, schema.Allowed]) -> None:
    """Checks the values of every arm.

    Args:
      config: what is run.
      allowed: what its file says of the values of its own keys.

    Raises:
      UserError: a key does not take its value.
    """
    for arm, setting in arms_of(config).items():
        schema.check(dict(flat(with_overrides(config, setting))), allowed, setting, arm)


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
    arms = {
        arm: {k: _from_plain(v) for k, v in values.items()} for arm, values in plain["arms"].items()
    }
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
    given = f"--config.{key}={quoted(text)[1:-1]}"
    if isinstance(old, bool):
        if text.lower() in ("true", "false"):
            return text.lower() == "true"
        raise UserError(f"{given}: takes true or false")
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        value = text
    if isinstance(old, (tuple, list)):
        value = tuple(value) if isinstance(value, (tuple, list)) else (value,)
        kinds = {type(x) for x in old}
        if kinds == {float}:
            value = tuple(map(_as_float, value))
        if len(kinds) == 1 and any(type(x) not in kinds for x in value):
            raise UserError(f"{given}: takes values like {old!r}")
        return value
    if isinstance(old, float):
        value = _as_float(value)
    if type(value) is not type(old):
        raise UserError(f"{given}: takes a {type(old).__name__}, like {old!r}")
    if isinstance(value, dict) and not all(isinstance(name, str) for name in value):
        raise UserError(f"{given}: takes keys of the configuration with a value for each")
    return value


def _as_float(value: Any) -> Any:
    """A whole number as one with a point; anything else as it is."""
    if type(value) is not int:
        return value
    try:
        return float(value)
    except OverflowError:
        return math.inf


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
            raise UserError(
                f"no configuration key {quoted(key)}{_near(key, names)}; keys: {_few(names)}"
            )
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
            f"{key}: takes a {type(old).__name__}, like {old!r}; got {quoted(value)}"
        ) from None


def _near(word: str, known: Any) -> str:
    close = difflib.get_close_matches(word[:100], list(known), n=1)
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
