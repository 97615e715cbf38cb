"""Where a result comes from: command, commit, versions, processor."""

from __future__ import annotations

import dataclasses
import platform
import re
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from research import startup

COMPUTES = ("research", "experiments", "configs")  # folders whose code makes numbers
_PLACES = ("--workdir", "--config.data.dir")  # say where, not what: they stand in no result


@dataclasses.dataclass(frozen=True)
class Provenance:
    """What a run was made with.

    Attributes:
      command: as it was given, but for flags that name folders of the machine.
      commit: of the checkout that the script lies in, "" outside of one.
      clean: whether the code in it was as committed.
      cpu: the processor's model.
      device: what JAX ran on, in words.
      versions: of packages, by name.
    """

    command: str
    commit: str
    clean: bool
    cpu: str
    device: str
    versions: Mapping[str, str]

    @classmethod
    def of(cls, script: Path, argv: Sequence[str]) -> Provenance:
        """Looks at the checkout of `script`, called with `argv`, and at this machine."""
        commit, clean = checkout(script.parent)
        return cls(
            command=command(script, argv),
            commit=commit,
            clean=clean,
            cpu=cpu_model(),
            device=startup.device(),
            versions=startup.versions(),
        )


def command(script: Path, argv: Sequence[str]) -> str:
    """The command line, from the root of the script's checkout."""
    words, kept = list(argv), []
    while words:
        word = words.pop(0)
        if word.partition("=")[0] in _PLACES:
            if "=" not in word and words:
                words.pop(0)
            continue
        kept.append(word)
    return shlex.join(["python", f"{script.parent.name}/{script.name}", *kept])


def without_folders(origin: str) -> str:
    """Which data was used, without where on this machine it lay."""
    return re.sub(r",? at (/|~|\w+://)[^;]*", "", origin)


def without_data_folder(config: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration, without where on this machine the data lay."""
    data = config.get("data")
    if not isinstance(data, Mapping) or "dir" not in data:
        return dict(config)
    return {**config, "data": {**data, "dir": ""}}


def checkout(folder: Path) -> tuple[str, bool]:
    """The commit that is checked out where a folder lies, and whether its code is as committed."""
    commit = git(folder, "rev-parse", "HEAD")
    if not commit:
        return "", False
    root = Path(git(folder, "rev-parse", "--show-toplevel"))
    changed = git(root, "status", "--porcelain", "--", *COMPUTES)
    return commit, not changed


def git(folder: Path, *arguments: str) -> str:
    """What a git command says, "" where it fails or there is no git."""
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError):
        return ""
    return done.stdout.strip()


def cpu_model() -> str:
    """The processor's name, as the system calls it."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text(encoding="utf-8").splitlines():
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine()
