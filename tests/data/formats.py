"""Writes small files in the formats of the original releases."""

import io
import tarfile
import wave
import zipfile

import numpy as np
from PIL import Image


def encode(array, kind="PNG"):
    file = io.BytesIO()
    Image.fromarray(array).save(file, kind)
    return file.getvalue()


def picture(seed, height=8, width=8):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


def sound(samples, rate=8000):
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setparams((1, 2, rate, 0, "NONE", ""))
        writer.writeframes(np.asarray(samples, "<i2").tobytes())
    return file.getvalue()


def write_zip(path, members):
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def write_tar(path, members):
    with tarfile.open(path, "w:xz") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content.encode())
            archive.addfile(info, io.BytesIO(content.encode()))


def write_objects(path, **arrays):
    """An npz of arrays of arrays."""
    packed = {name: np.empty(len(values), object) for name, values in arrays.items()}
    for name, values in arrays.items():
        packed[name][:] = values
    np.savez_compressed(path, **packed)
