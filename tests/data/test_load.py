"""Finding data by name: the order of the search, prepared sets, what is said when it fails."""

import contextlib
import json
import logging
import subprocess
import sys

import numpy as np
import pytest

from research import data
from research.core import UserError
from research.data.dataset import parse_split, slice_records
from research.data.sources import catalogue, embedded, prepared
from tests.data.formats import write_prepared


def write_toy(folder, name, version, count, marker=""):
    """A set of `count` records; returns its one file of records."""
    import tensorflow_datasets as tfds

    features = {
        "x": tfds.features.Tensor(shape=(2,), dtype=np.float32),
        "label": tfds.features.ClassLabel(num_classes=3),
        "text": tfds.features.Text(),
    }
    rows = [
        {"x": np.full(2, i, np.float32), "label": i % 3, "text": f"é{i}{marker}"}
        for i in range(count)
    ]
    place = write_prepared(folder, name, features, {"train": rows}, version)
    return place / f"{name}-train.array_record-00000-of-00001"


def message(name, split="train", data_dir=""):
    with pytest.raises(UserError) as caught:
        data.load(name, split, str(data_dir))
    text = str(caught.value)
    assert "\n" not in text
    return text


def test_prepared_set(tmp_path):
    write_toy(tmp_path, "toy", "1.2.0", 10)
    dataset = data.load("toy", "train", str(tmp_path))
    assert len(dataset) == 10
    record = dataset[4]
    np.testing.assert_array_equal(record["x"], [4, 4])
    assert (record["label"], record["text"]) == (1, "é4")
    assert dataset.origin == f"TFDS toy 1.2.0, split train, at {tmp_path / 'toy/1.2.0'}"
    part = data.load("toy", "train[:50%]", str(tmp_path))
    assert [r["text"] for r in part] == [f"é{i}" for i in range(5)]
    assert part.arrays()["x"].shape == (5, 2)


def test_without_the_extra_one_line_says_what_to_install(tmp_path, monkeypatch):
    write_toy(tmp_path, "toy", "1.2.0", 3)
    monkeypatch.setattr(prepared, "installed", lambda: False)
    said = message("toy", data_dir=tmp_path)
    assert "1.2.0 is a set that TFDS has prepared, which needs" in said
    assert "pip install 'landmarks[tfds]'" in said
    said = message("glue/sst2", data_dir=tmp_path)
    assert "'glue/sst2' not found" in said and "pip install 'landmarks[tfds]'" in said
    assert "did you mean tiny_shakespeare?" in message("tiny_shakespear", data_dir=tmp_path)


def test_newest_version_is_taken(tmp_path):
    write_toy(tmp_path, "toy", "1.9.0", 3, "old")
    write_toy(tmp_path, "toy", "1.10.0", 3, "new")
    assert data.load("toy", "train", str(tmp_path))[0]["text"] == "é0new"


def test_order_of_the_search(tmp_path, monkeypatch):
    places = [tmp_path / place for place in ("given", "second", "environment", "tfds")]
    for place in places:
        place.mkdir()
    monkeypatch.setenv("LANDMARKS_DATA", str(places[2]))
    given = f"{places[0]}:{places[1]}"
    for place in reversed(places):  # each takes precedence over those made before
        write_toy(place, "toy", "1.0.0", 2)
        assert str(place) in data.load("toy", "train", given).origin


def test_prepared_set_comes_before_raw_files(tmp_path):
    (tmp_path / "tiny_shakespeare").mkdir()
    (tmp_path / "tiny_shakespeare/input.txt").write_text("x")
    assert "1 bytes instead of 1115394" in message("tiny_shakespeare", data_dir=tmp_path)
    write_toy(tmp_path, "tiny_shakespeare", "1.0.0", 1)
    assert data.load("tiny_shakespeare", "train", str(tmp_path)).origin.startswith("TFDS")


def test_unknown_split_is_named_with_those_there_are(tmp_path, monkeypatch):
    write_toy(tmp_path, "toy", "1.0.0", 2)
    assert "has no split 'test'; it has train" in message("toy", "test", tmp_path)
    assert "has no split 'dev'; it has train, test" in message("digits", "dev")
    assert "write 'train' or" in message("digits", "train[:0.9]")


@pytest.mark.parametrize("damage", ["truncated", "no info", "no records"])
def test_damaged_prepared_set_is_named(tmp_path, damage):
    file = write_toy(tmp_path, "toy", "1.0.0", 1000)
    if damage == "truncated":
        file.write_bytes(file.read_bytes()[:-500])
    elif damage == "no info":
        (file.parent / "dataset_info.json").write_text("{")
    else:
        file.unlink()
    text = message("toy", data_dir=tmp_path)
    assert str(file.parent) in text and "damaged" in text and "prepare it again" in text


def test_damaged_record_is_named_when_it_is_read(tmp_path):
    file = write_toy(tmp_path, "toy", "1.0.0", 1000)
    content = bytearray(file.read_bytes())
    content[len(content) // 4] ^= 255
    file.write_bytes(content)
    dataset = data.load("toy", "train", str(tmp_path))
    with pytest.raises(UserError, match=rf"{file.parent} is damaged at record \d+"):
        list(dataset)


def test_missing_set_says_where_it_was_looked_for_and_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setenv("LANDMARKS_DATA", str(tmp_path))
    text = message("cifar100")
    assert "'cifar100' not found" in text
    assert f"in {tmp_path}, {tmp_path / 'tfds'}" in text
    assert f"tfds.builder('cifar100', data_dir='{tmp_path}'" in text
    assert "pip install tensorflow tensorflow-datasets importlib_resources" in text
    assert "default variant needs no download" in text
    assert not (tmp_path / "tfds").exists()


def test_missing_raw_set_names_its_files_and_their_source(tmp_path):
    text = message("multi30k_en_de", data_dir=tmp_path)
    assert "multi30k_en_de/ (train.en.gz, " in text
    assert "github.com/multi30k/dataset" in text and "--config.data.dir=DIR" in text


def test_unknown_name_suggests_what_is_meant():
    assert "did you mean imdb_reviews" in message("imdb")
    assert "did you mean sst/binary" in message("sst_binary")
    assert "no data set is called 'nothing_like_it'" in message("nothing_like_it")


def test_folder_that_does_not_exist(tmp_path, monkeypatch):
    assert "config.data.dir names" in message("digits_", data_dir=tmp_path / "none")
    monkeypatch.setenv("LANDMARKS_DATA", "/none")
    assert "$LANDMARKS_DATA names /none" in message("mnist")


def test_download_is_not_tried_without_a_connection(tmp_path, monkeypatch):
    monkeypatch.setattr(prepared.importlib.util, "find_spec", lambda name: object())
    monkeypatch.setattr(prepared, "_answers", lambda host: False)

    class Builder:
        MANUAL_DOWNLOAD_INSTRUCTIONS = None
        url_infos = {"https://example.invalid/data.zip": None}

        def download_and_prepare(self):
            pytest.fail("it would hang")

    import tensorflow_datasets as tfds

    monkeypatch.setattr(tfds, "builder", lambda *_, **__: Builder())
    assert prepared.download("mnist", tmp_path) == "no connection to example.invalid"


def test_connection_is_given_up_soon(monkeypatch):
    def hang(*_, **__):
        import time

        time.sleep(60)
        raise TimeoutError

    monkeypatch.setattr(prepared, "CONNECT_SECONDS", 0.05)
    monkeypatch.setattr(prepared.socket, "create_connection", hang)
    assert not prepared._answers("example.invalid")


def test_embedded_sets():
    digits = data.load("digits", "train")
    assert digits[0]["image"].shape == (8, 8) and digits[0]["image"].max() <= 16
    assert len(digits) + len(data.load("digits", "test")) == 1797
    for name in ("python_reference", "python_source"):
        train, test = data.load(name, "train"), data.load(name, "test")
        assert sum(len(record["text"]) for record in train) > 100_000
        key = next(iter(train[0]))
        assert not {r[key] for r in train} & {r[key] for r in test}
        assert [r[key] for r in train] == sorted(r[key] for r in train)
    assert "the" in data.load("python_reference", "train")[0]["text"]


def test_split_syntax():
    assert parse_split("train") == ("train", "", "")
    assert parse_split("test_2017[10%:90%]") == ("test_2017", "10%", "90%")
    records = list(range(200))
    assert list(slice_records(records, "", "90%")) == records[:180]
    assert list(slice_records(records, "90%", "")) == records[180:]
    assert list(slice_records(records, "-5", "")) == records[-5:]
    assert list(slice_records(records, "3", "7")) == [3, 4, 5, 6]


def test_names_are_those_of_builders_or_new():
    import tensorflow_datasets as tfds

    names = {name.split("/")[0] for name in (*catalogue.SETS, *embedded.SETS)}
    builders = set()
    for name in names:
        with contextlib.suppress(tfds.core.registered.DatasetNotFoundError):
            tfds.builder_cls(name)
            builders.add(name)
    # Of these the features are the builder's own; see `catalogue`.
    assert builders == set(
        "bccd imdb_reviews omniglot spoken_digit squad tiny_shakespeare trec".split()
    )


def test_mnist_and_cifar10(tfds_folder, caplog):
    with caplog.at_level(logging.WARNING, logger="absl"):
        mnist = data.load("mnist", "train", str(tfds_folder))
        cifar = data.load("cifar10", "train[90%:]", str(tfds_folder))
        image = cifar[0]["image"]
    assert not caplog.records  # the harmless lines about groups and OpenCV
    assert (len(mnist), len(cifar)) == (60000, 5000)
    assert mnist[0]["image"].shape == (28, 28, 1) and mnist[0]["label"] == 4
    assert image.shape == (32, 32, 3) and image.dtype == np.uint8


def test_nothing_heavy_is_imported_until_it_is_needed(tfds_folder):
    code = (
        "import sys; from research import data\n"
        "heavy = {'tensorflow_datasets', 'grain', 'sklearn', 'PIL', 'scipy'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
        f"data.load('mnist', 'test', {str(tfds_folder)!r})[5]\n"
        "assert 'tensorflow_datasets' in sys.modules and 'tensorflow' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


@pytest.mark.parametrize(
    "name", ["../../etc", "/etc", "", "a//b", "a/../b", "a\nb", ".hidden", "~"]
)
def test_names_that_are_paths_are_refused(tmp_path, name):
    assert "no data set is called" in message(name, data_dir=tmp_path)


def test_folders_that_cannot_be_looked_at(monkeypatch, tmp_path):
    assert "cannot look at" in message("mnist", data_dir="x" * 5000)
    assert "config.data.dir" in message("mnist", data_dir="~nobody_of_this_name/data")


@pytest.mark.parametrize("version", ["1.²", "1.0.0-old", "1..0", "1.0.0.0"])
def test_folders_that_are_no_versions_are_passed_over(tmp_path, version):
    write_toy(tmp_path, "toy", version, 1)
    assert "no data set is called 'toy'" in message("toy", data_dir=tmp_path)


@pytest.mark.parametrize("name", ["nobodys.Feature", "antigravity.geohash", 7, None, ""])
def test_data_names_no_module_to_import(tmp_path, name):
    """TFDS would import it, and run what is in it."""
    place = write_toy(tmp_path, "toy", "1.0.0", 1).parent
    content = json.loads((place / "features.json").read_text())
    content["featuresDict"]["features"]["x"]["pythonClassName"] = name
    (place / "features.json").write_text(json.dumps(content))
    before = set(sys.modules)
    text = message("toy", data_dir=tmp_path)
    assert "is not imported" in text and str(place) in text
    assert not {"nobodys", "antigravity"} & (set(sys.modules) - before)
