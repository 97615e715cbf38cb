"""Writes small files in the formats of the original releases."""

import io
import json
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


def write_prepared(folder, name, features, splits, version="1.0.0"):
    """A set as TFDS prepares it, written without TensorFlow.

    Args:
      folder, name, version: it becomes `<folder>/<name>/<version>/`, which is returned.
      features: of TFDS, by name.
      splits: examples of each split; bytes and arrays are written as they are.
    """
    import tensorflow_datasets as tfds
    from array_record.python.array_record_module import ArrayRecordWriter

    features = tfds.features.FeaturesDict(features)
    serializer = tfds.core.example_serializer.ExampleSerializer(features.get_serialized_info())
    place = folder / name / version
    place.mkdir(parents=True)
    described = []
    for split, examples in splits.items():
        file = place / f"{name}-{split}.array_record-00000-of-00001"
        writer = ArrayRecordWriter(str(file), "group_size:1")
        for example in examples:
            encoded = {
                key: value
                if isinstance(value, bytes | np.ndarray)
                else features[key].encode_example(value)
                for key, value in example.items()
            }
            writer.write(serializer.serialize_example(encoded))
        writer.close()
        described.append(
            {
                "name": split,
                "shardLengths": [str(len(examples))],
                "numBytes": "1",
                "filepathTemplate": "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}",
            }
        )
    features.save_config(place)
    info = {"name": name, "version": version, "fileFormat": "array_record", "splits": described}
    (place / "dataset_info.json").write_text(json.dumps(info))
    return place
