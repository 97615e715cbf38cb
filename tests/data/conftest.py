"""Where the real data sets lie, if they are here."""

import os
from pathlib import Path

import pytest

SHARED = Path(__file__).resolve().parents[3] / "shared"


def _folder(marker: str) -> Path:
    given = os.environ.get("LANDMARKS_DATA", "")
    places = [Path(p) for p in given.split(os.pathsep) if p] + [SHARED / "data", SHARED / "tfds"]
    for place in places:
        if (place / marker).is_dir():
            return place
    pytest.skip(f"needs the folder {marker}/ in $LANDMARKS_DATA")


@pytest.fixture
def raw_folder() -> Path:
    """Folder with the original releases' files."""
    return _folder("tiny_shakespeare")


@pytest.fixture
def tfds_folder() -> Path:
    """Folder with mnist and cifar10 as TFDS prepares them."""
    return _folder("mnist")


@pytest.fixture(autouse=True)
def _no_other_data(monkeypatch, tmp_path):
    """Nothing is found, or written, where the user keeps data."""
    monkeypatch.delenv("LANDMARKS_DATA", raising=False)
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "tfds"))
