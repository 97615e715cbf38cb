"""What the folder of a run notes beside its numbers, so that it can be used later.

run.json                    script, arguments and whole configuration
<arm>/<seed>/checkpoints/   states
<arm>/<seed>/assets/        what was learned from data beside the state
<arm>/<seed>/result.json    final numbers: this arm and seed has ended
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax

from research import config as configs
from research.core.errors import UserError
from research.core.experiment import Experiment

RUN, ASSETS, _ENDED = "run.json", "assets", "result.json"
_NOTED = ("script", "method", "variant", "arguments", "config")


class Ended(NamedTuple):
    """An arm and seed that has ended.

    Attributes:
      root: folder of the whole run.
      arm, seed: which one it is.
      noted: what `note_run` wrote.
    """

    root: Path
    arm: str
    seed: int
    noted: Mapping[str, Any]

    @property
    def folder(self) -> Path:
        return self.root / self.arm / str(self.seed)

    @property
    def numbers(self) -> dict[str, float]:
        """Its final numbers."""
        return read_json(self.folder / _ENDED)["metrics"]


def note_run(
    folder: Path, script: Path, method: str, variant: str, arguments: Sequence[str], config: Any
) -> None:
    """Notes which script runs, and its whole configuration.

    Args:
      folder: of the run.
      script: its path.
      method: the arm that is the paper's own, "" for the first.
      variant: of the configuration file.
      arguments: of the command line.
      config: as it is run, all arms in it.
    """
    if jax.process_index() != 0:
        return
    noted = {
        "script": str(script),
        "method": method,
        "variant": variant,
        "arguments": list(arguments),
        "config": configs.to_plain(config),
    }
    _write(folder / RUN, (json.dumps(noted, indent=1) + "\n").encode())


def keep_assets(experiment: Experiment, folder: Path) -> None:
    """Writes what an experiment has learned from its data into the folder of its arm and seed."""
    if jax.process_index() != 0:
        return
    for asset in experiment.assets:
        for name, content in asset.to_files().items():
            (folder / ASSETS).mkdir(exist_ok=True)
            _write(folder / ASSETS / name, content)


def give_assets(experiment: Experiment, folder: Path) -> None:
    """Gives an experiment what `keep_assets` wrote.

    Raises:
      UserError: a file is missing or damaged.
    """
    files = {path.name: path.read_bytes() for path in sorted((folder / ASSETS).glob("*"))}
    for asset in experiment.assets:
        try:
            asset.from_files(files)
        except KeyError as error:
            raise UserError(f"{folder / ASSETS} lacks {error.args[0]}") from error
        except Exception as error:  # whatever a damaged file makes its reader raise
            line = (str(error) or type(error).__name__).splitlines()[0]
            raise UserError(f"{folder / ASSETS} is damaged ({line})") from error


def find(folder: Path, arm: str | None = None, seed: int | None = None, prefer: str = "") -> Ended:
    """The arm and seed of a run that is meant.

    Args:
      folder: of the run, or of an arm and seed in it.
      arm: None for `prefer` where that has ended, for the paper's own method, or for the first.
      seed: None for the first.
      prefer: an arm.

    Raises:
      UserError: that is no folder of a run, or no such arm or seed has ended.
    """
    if not folder.is_dir():
        raise UserError(f"there is no run {folder}")
    root = folder
    if not (folder / RUN).exists() and folder.absolute().name.isdigit():
        root = folder.absolute().parent.parent
        arm, seed = arm or folder.absolute().parent.name, int(folder.absolute().name)
    if not (root / RUN).is_file():
        raise UserError(f"{folder} is not the folder of a run (it has no {RUN})")
    noted = read_json(root / RUN)
    if lacking := [key for key in _NOTED if key not in noted]:
        raise UserError(f"{root / RUN} is damaged (it has no {lacking[0]!r})")
    ended: dict[str, list[int]] = {}
    for path in sorted(root.glob(f"*/*/{_ENDED}")):
        if path.parent.name.isdigit():
            ended.setdefault(path.parent.parent.name, []).append(int(path.parent.name))
    if not ended:
        raise UserError(f"no arm of {root} has ended; start the same command again")
    if arm is None:
        arm = next((a for a in (prefer, noted["method"]) if a in ended), next(iter(ended)))
    if arm not in ended:
        raise UserError(f"no arm {arm!r} of {root} has ended; there are {', '.join(ended)}")
    seeds = sorted(ended[arm])
    seed = seeds[0] if seed is None else seed
    if seed not in seeds:
        known = ", ".join(map(str, seeds))
        raise UserError(f"seed {seed} of {root / arm} has not ended; there are {known}")
    return Ended(root, arm, seed, noted)


def read_json(path: Path) -> dict[str, Any]:
    """What a JSON file of a run says.

    Raises:
      UserError: it is damaged.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"{path} is damaged ({str(error).splitlines()[0]})") from error


def _write(path: Path, content: bytes) -> None:
    """Writes a file whole or not at all."""
    partial = path.with_name(path.name + ".partial")
    partial.write_bytes(content)
    partial.replace(path)
