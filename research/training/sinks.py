"""Where metrics go beside the run's own files: TensorBoard, Weights & Biases, MLflow, or one's own
place.

`config.writers` names them. A name `package.module:make` is of one's own: `make(run)` is called
with a `RunInfo` and returns an object with the methods of `Sink`; `picture` it may lack.
"""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import re
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from research.core.errors import UserError, quoted
from research.core.imports import failed, load_function


class Sink(Protocol):
    """Takes the metrics of one training."""

    def write(self, step: int, metrics: Mapping[str, float]) -> None:
        """Takes numbers of a step; all of them are finite."""

    def picture(self, step: int, path: Path) -> None:
        """Takes a picture that the training has left, such as a grid of samples."""

    def close(self) -> None:
        """Ends it, whether or not the training has come to its end."""


@dataclasses.dataclass(frozen=True)
class RunInfo:
    """What a sink is told of its training.

    Attributes:
      folder: of the training; a sink may write into it.
      config: the configuration, as plain values.
      start: step that the training begins at, above 0 where it is resumed: what a sink has of later
        steps is made again.
      per_step: what one step consumes, by unit.
    """

    folder: Path
    config: Mapping[str, Any]
    start: int
    per_step: Mapping[str, int]

    @property
    def name(self) -> str:
        """Script, arm and seed, or whatever the folder's last names are."""
        return "/".join(self.folder.absolute().parts[-3:])


class TensorBoard:
    """Scalars over steps or over a unit of `per_step`, and the configuration as text.

    Args:
      run: the training.
      axis: "step", or a unit; where this training does not have it, steps.
    """

    def __init__(self, run: RunInfo, axis: str):
        from tensorboardX import SummaryWriter

        self.amount = run.per_step.get(axis, 1)
        first = (run.start + 1) * self.amount
        self.board = SummaryWriter(str(run.folder / "tensorboard"), purge_step=first)
        if run.start == 0:
            text = json.dumps(run.config, indent=1, default=str)
            self.board.add_text("config", "".join(f"    {line}\n" for line in text.splitlines()), 0)

    def write(self, step: int, metrics: Mapping[str, float]) -> None:
        for name, value in metrics.items():
            self.board.add_scalar(name, value, step * self.amount)

    def picture(self, step: int, path: Path) -> None:
        from PIL import Image
        from tensorboardX.proto.summary_pb2 import Summary

        with Image.open(path) as image:
            width, height = image.size
        # The file as it is: films move.
        shown = Summary.Image(
            height=height, width=width, colorspace=3, encoded_image_string=path.read_bytes()
        )
        summary = Summary(value=[Summary.Value(tag=path.stem, image=shown)])
        self.board.file_writer.add_summary(summary, step * self.amount)

    def close(self) -> None:
        self.board.close()


class WandB:
    """Weights & Biases: one of its runs for each training. Modes are those of `WANDB_MODE`."""

    def __init__(self, run: RunInfo):
        import wandb

        # The same training resumed goes on in the same place: the name decides.
        known = run.folder / "wandb_id"
        fresh = not known.is_file()
        if fresh:
            known.write_text(uuid.uuid4().hex[:8], encoding="utf-8")
        self.run = wandb.init(
            project="landmarks",
            name=run.name,
            id=known.read_text(encoding="utf-8").strip(),
            resume=None if fresh else "allow",
            dir=str(run.folder),
            config=json.loads(json.dumps(run.config, default=str)),
            reinit="create_new",
        )

    def write(self, step: int, metrics: Mapping[str, float]) -> None:
        self.run.log(dict(metrics), step=step)

    def picture(self, step: int, path: Path) -> None:
        import wandb

        kind = wandb.Video if path.suffix == ".gif" else wandb.Image
        self.run.log({path.stem: kind(str(path))}, step=step)

    def close(self) -> None:
        self.run.finish()


_MLFLOW_PARAMS = 100  # in one request; each of at most so many characters:
_MLFLOW_CHARACTERS = 6000


class MLflow:
    """MLflow: one of its runs for each training, in the experiment "landmarks".

    They go where `MLFLOW_TRACKING_URI` says.
    """

    def __init__(self, run: RunInfo):
        from mlflow import MlflowClient
        from mlflow.entities import Param

        self.client = MlflowClient()
        known = run.folder / "mlflow_id"
        if known.is_file():  # the same training resumed goes on in the same place
            self.id = known.read_text(encoding="utf-8").strip()
            self.client.update_run(self.id, status="RUNNING")
            return
        experiment = self.client.get_experiment_by_name("landmarks")
        place = (
            experiment.experiment_id if experiment else self.client.create_experiment("landmarks")
        )
        self.id = self.client.create_run(place, run_name=run.name).info.run_id
        known.write_text(self.id, encoding="utf-8")
        settings = [Param(key, value) for key, value in _flat(run.config)]
        for i in range(0, len(settings), _MLFLOW_PARAMS):
            self.client.log_batch(self.id, params=settings[i : i + _MLFLOW_PARAMS])

    def write(self, step: int, metrics: Mapping[str, float]) -> None:
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        # Its names have no brackets, such as those of a feature network.
        named = {re.sub(r"[^\w\-. :/]", "_", name): value for name, value in metrics.items()}
        self.client.log_batch(self.id, [Metric(n, v, now, step) for n, v in named.items()])

    def picture(self, step: int, path: Path) -> None:
        self.client.log_artifact(self.id, str(path))

    def close(self) -> None:
        self.client.set_terminated(self.id)


def _flat(config: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Settings by dotted key, as text."""
    for key, value in config.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", str(value)[:_MLFLOW_CHARACTERS]


_EXTRAS = {"wandb": "wandb", "mlflow": "mlflow"}  # name -> package that it needs
NAMES = ("tensorboard", *_EXTRAS)
_PICTURES = (".png", ".gif")


def check(names: Sequence[str]) -> None:
    """Refuses, before anything is written, writers that there are not.

    Raises:
      UserError: an unknown name, a package that is not installed, or a function that is not there.
    """
    for name in names:
        if ":" in name:
            load_function(name, "writers", "a writer")
        elif name not in NAMES:
            raise UserError(
                f"writers has {quoted(name)}; there are {', '.join(NAMES)}, and package.module:make"
            )
        elif name in _EXTRAS and importlib.util.find_spec(_EXTRAS[name]) is None:
            raise UserError(f"writers: {name} is not installed; pip install -e '.[{name}]'")


def make(names: Sequence[str], axis: str, run: RunInfo) -> list[Sink]:
    """Opens the sinks of a training.

    Args:
      names: of `config.writers`, once `check` has passed them.
      axis: of TensorBoard.
      run: the training.

    Raises:
      UserError: one's own function fails, or makes something else.
    """
    built_in: dict[str, Callable[[], Sink]] = {
        "tensorboard": lambda: TensorBoard(run, axis),
        "wandb": lambda: WandB(run),
        "mlflow": lambda: MLflow(run),
    }
    return [built_in[name]() if name in built_in else _own(name, run) for name in names]


def show_pictures(names: Sequence[str], axis: str, run: RunInfo) -> None:
    """Hands the pictures in a training's folder to its sinks, once it has come to its end.

    Args:
      names, axis, run: as for `make`; `run.start` is the last step.
    """
    pictures = [p for suffix in _PICTURES for p in sorted(run.folder.glob(f"*{suffix}"))]
    if not pictures:
        return
    for sink in make(names, axis, run):
        if hasattr(sink, "picture"):
            for path in pictures:
                sink.picture(run.start, path)
        sink.close()


def _own(name: str, run: RunInfo) -> Sink:
    try:
        sink = load_function(name, "writers", "a writer")(run)
    except UserError:
        raise
    except Exception as error:
        raise failed(f"{name}(run)", error) from error
    missing = [part for part in ("write", "close") if not callable(getattr(sink, part, None))]
    if missing:
        raise UserError(
            f"{name} gives {quoted(type(sink).__name__)}, which has no {' and no '.join(missing)}"
        )
    return sink
