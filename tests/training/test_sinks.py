"""TensorBoard, Weights & Biases and places of one's own: what they are told, and refusals."""

import os
import subprocess
import sys
import types

import pytest
from PIL import Image

from research.core.errors import UserError
from research.training import sinks
from research.training.writers import Writers, read_metrics


def run_info(folder, start=0, **config):
    return sinks.RunInfo(folder, config, start, {"frames": 4})


def board(folder):
    """Scalars by name as [(step, value)]; texts by name, and pictures: step, size and file."""
    from tensorboardX.proto.event_pb2 import Event

    scalars, texts = {}, {}
    for path in sorted((folder / "tensorboard").glob("events*")):
        content = path.read_bytes()
        while content:
            size = int.from_bytes(content[:8], "little")
            event, content = Event.FromString(content[12 : 12 + size]), content[16 + size :]
            for value in event.summary.value:
                if value.HasField("simple_value"):
                    scalars.setdefault(value.tag, []).append((event.step, value.simple_value))
                elif value.HasField("image"):
                    image = value.image
                    size = image.width, image.height
                    texts[value.tag] = event.step, size, image.encoded_image_string
                else:
                    texts[value.tag] = value.tensor.string_val[0].decode()
    return scalars, texts


@pytest.mark.parametrize(("axis", "factor"), [("step", 1), ("frames", 4), ("tokens", 1)])
def test_tensorboard_has_scalars_over_the_axis_and_the_configuration(tmp_path, axis, factor):
    sink = sinks.TensorBoard(run_info(tmp_path, batch_size=32), axis)
    sink.write(5, {"loss": 0.5})
    sink.write(10, {"loss": 0.25})
    sink.close()
    scalars, texts = board(tmp_path)
    assert scalars == {"loss": [(5 * factor, 0.5), (10 * factor, 0.25)]}
    assert '"batch_size": 32' in texts["config/text_summary"]


def test_tensorboard_has_the_pictures_that_a_training_left(tmp_path):
    kept = {}
    for name, frames in (("grid.png", 1), ("film.gif", 3)):
        images = [Image.new("RGB", (7, 5), (40 * i, 0, 9)) for i in range(frames)]
        images[0].save(tmp_path / name, save_all=frames > 1, append_images=images[1:])
        kept[name[:4]] = (40, (7, 5), (tmp_path / name).read_bytes())
    (tmp_path / "metrics.jsonl").write_text("{}")
    sinks.show_pictures(("tensorboard",), "frames", run_info(tmp_path, start=10))
    assert board(tmp_path) == ({}, kept)


def test_a_place_that_takes_no_pictures_is_not_asked(tmp_path, monkeypatch):
    closed = []
    sink = types.SimpleNamespace(write=None, close=lambda: closed.append(True))
    monkeypatch.setattr(sinks, "_own", lambda name, run: sink)
    sinks.show_pictures(("a:b",), "step", run_info(tmp_path))
    assert not closed  # nothing to show: not even opened
    Image.new("L", (2, 2)).save(tmp_path / "a.png")
    sinks.show_pictures(("a:b",), "step", run_info(tmp_path))
    assert closed == [True]


def test_a_resumed_training_does_not_tell_its_configuration_again(tmp_path):
    sinks.TensorBoard(run_info(tmp_path, start=3, batch_size=32), "step").close()
    assert board(tmp_path)[1] == {}


def test_throughput_goes_to_sinks_alone_and_is_that_since_the_last_metrics(tmp_path, monkeypatch):
    told, times = [], [100.0, 102.0, 103.0]
    monkeypatch.setattr(sinks, "_own", lambda name, run: Told(told))
    w = Writers(tmp_path, 0, 10, {"frames": 4}, names=("a:b",))
    monkeypatch.setattr("research.training.writers.time.monotonic", lambda: times.pop(0))
    w.seconds, w.progress.show = lambda: 0.0, lambda step, metrics: None
    for step in (2, 6, 6):  # the third is an evaluation at the same step
        w.write(step, {"loss": 1.0})
    assert told[0] == (2, {"loss": 1.0})
    assert told[1][1] == {
        "loss": 1.0,
        "throughput/steps_per_second": 2.0,
        "throughput/frames_per_second": 8.0,
    }
    assert told[2] == (6, {"loss": 1.0})
    w.progress.close()
    assert [set(r) for r in read_metrics(tmp_path)] == [{"step", "seconds", "frames", "loss"}] * 3


class Told:
    def __init__(self, told):
        self.told, self.closed = told, False

    def write(self, step, metrics):
        self.told.append((step, dict(metrics)))

    def close(self):
        self.closed = True


OWN = """
import json
class Lines:
    def __init__(self, run):
        self.file = (run.folder / "own.txt").open("a")
        self.file.write(json.dumps([run.start, run.config["batch_size"], run.per_step]) + chr(10))
    def write(self, step, metrics):
        self.file.write(f"{step} {metrics['loss']:g}" + chr(10))
    def close(self):
        self.file.close()
def broken(run):
    raise RuntimeError("no place")
def nothing(run):
    return 3
"""


@pytest.fixture
def own(tmp_path, monkeypatch):
    (tmp_path / "my_sinks.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    yield "my_sinks"
    sys.modules.pop("my_sinks", None)


def test_a_place_of_ones_own_is_told_everything(own, tmp_path):
    names = (f"{own}:Lines",)
    sinks.check(names)
    w = Writers(tmp_path, 0, 10, {"frames": 4}, names=names, config={"batch_size": 8})
    w.write(5, {"loss": 0.5, "return": float("nan")})
    w.close()
    assert (tmp_path / "own.txt").read_text() == '[0, 8, {"frames": 4}]\n5 0.5\n'
    assert not (tmp_path / "tensorboard").exists()


@pytest.mark.parametrize(
    ("name", "words"),
    [
        (
            "tensorbored",
            "writers has 'tensorbored'; there are tensorboard, wandb, mlflow, and package",
        ),
        ("nowhere.at_all:make", "writers nowhere.at_all:make: there is no module 'nowhere'"),
        ("json:nothing_there", "json has no function nothing_there"),
        ("a b:c", "writers 'a b:c': a writer of yours is package.module:make"),
    ],
)
def test_what_there_is_not_is_refused_before_anything_is_written(name, words):
    with pytest.raises(UserError) as error:
        sinks.check((name,))
    assert words in str(error.value) and "\n" not in str(error.value)


def test_a_package_that_is_missing_is_named(monkeypatch):
    monkeypatch.setattr(sinks.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"wandb is not installed; pip install -e '.\[wandb\]'"):
        sinks.check(("wandb",))


@pytest.mark.parametrize(
    ("function", "words"),
    [
        ("broken", r"my_sinks:broken\(run\) raises RuntimeError: no place"),
        ("nothing", "my_sinks:nothing gives 'int', which has no write and no close"),
    ],
)
def test_a_place_of_ones_own_that_fails_is_one_line(own, tmp_path, function, words):
    with pytest.raises(UserError, match=words):
        sinks.make((f"{own}:{function}",), "step", run_info(tmp_path))


def test_weights_and_biases_offline(tmp_path):
    """In a process of its own: the package leaves threads behind."""
    pytest.importorskip("wandb")
    code = f"""
from pathlib import Path
from research.training import sinks
for start in (0, 5):
    run = sinks.RunInfo(Path({str(tmp_path)!r}), {{"batch_size": 32}}, start, {{}})
    (sink,) = sinks.make(("wandb",), "step", run)
    sink.write(start + 1, {{"loss": 0.5}})
    sink.close()
"""
    env = {**os.environ, "WANDB_MODE": "offline", "WANDB_SILENT": "true"}
    subprocess.run([sys.executable, "-c", code], check=True, env=env, timeout=120)
    (name,) = {path.name.split("-")[-1] for path in tmp_path.glob("wandb/offline-run-*")}
    assert name == (tmp_path / "wandb_id").read_text()
    assert all(b"batch_size" in path.read_bytes() for path in tmp_path.glob("wandb/*/*.wandb"))


def test_mlflow_on_this_machine(tmp_path):
    """In a process of its own, as above; a training that is resumed goes on in the same run."""
    pytest.importorskip("mlflow")
    code = f"""
from pathlib import Path
from mlflow import MlflowClient
from PIL import Image
from research.training import sinks
folder = Path({str(tmp_path)!r})
Image.new("L", (2, 2)).save(folder / "grid.png")
for start in (0, 5):
    config = {{"batch_size": 32, "model": {{"dim": 8}}}}
    run = sinks.RunInfo(folder, config, start, {{}})
    (sink,) = sinks.make(("mlflow",), "step", run)
    sink.write(start + 1, {{"loss": 0.5, "fid[inception@0]": 3.0}})
    sink.close()
sinks.show_pictures(("mlflow",), "step", run)
client = MlflowClient()
(found,) = client.search_runs([client.get_experiment_by_name("landmarks").experiment_id])
assert found.info.status == "FINISHED", found.info
assert found.data.params == {{"batch_size": "32", "model.dim": "8"}}, found.data.params
assert [m.step for m in client.get_metric_history(found.info.run_id, "loss")] == [1, 6]
assert "fid_inception_0_" in found.data.metrics
assert [a.path for a in client.list_artifacts(found.info.run_id)] == ["grid.png"]
"""
    env = {**os.environ, "MLFLOW_TRACKING_URI": (tmp_path / "mlruns").as_uri()}
    env |= {"MLFLOW_ALLOW_FILE_STORE": "true"}
    subprocess.run([sys.executable, "-c", code], check=True, env=env, timeout=120)
