"""Every image of a prepared set is what Pillow's conversion makes of it; a damaged one is named."""

import io

import numpy as np
import pytest
from PIL import Image

from research import data
from research.core import UserError
from tests.data.formats import write_prepared


def smooth(width=60, height=40):
    small = np.random.default_rng(0).integers(0, 256, (4, 4, 3), np.uint8)
    return Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)


def encoded(image, kind="PNG", **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def transparent(image):
    image = image.quantize(16)
    image.info["transparency"] = 3
    return image


KINDS = {
    "rgb": lambda: encoded(smooth(), "JPEG"),
    "grey": lambda: encoded(smooth().convert("L"), "JPEG"),
    "cmyk": lambda: encoded(smooth().convert("CMYK"), "JPEG"),
    "palette": lambda: encoded(smooth().quantize(16)),
    "transparent palette": lambda: encoded(transparent(smooth()), transparency=3),
    "rgba": lambda: encoded(smooth().convert("RGBA")),
    "grey and alpha": lambda: encoded(smooth().convert("LA")),
    "one bit": lambda: encoded(smooth().convert("1")),
    "16 bits": lambda: encoded(Image.fromarray(np.arange(2400, dtype=np.uint16).reshape(40, 60))),
    "gif": lambda: encoded(smooth(), "GIF"),
    "webp": lambda: encoded(smooth(), "WEBP", lossless=True),
}


def prepare(folder, contents, channels=3):
    import tensorflow_datasets as tfds

    features = {"image": tfds.features.Image(shape=(None, None, channels))}
    write_prepared(folder, "photos", features, {"train": [{"image": c} for c in contents]})
    return data.load("photos", "train", str(folder))


@pytest.mark.parametrize(("channels", "mode"), [(3, "RGB"), (1, "L"), (4, "RGBA")])
def test_images_are_converted(tmp_path, channels, mode):
    contents = {kind: make() for kind, make in KINDS.items()}
    found = prepare(tmp_path, contents.values(), channels)
    for (kind, content), record in zip(contents.items(), found, strict=True):
        wanted = np.asarray(Image.open(io.BytesIO(content)).convert(mode))
        assert record["image"].shape == (40, 60, channels), kind
        assert record["image"].dtype == np.uint8
        np.testing.assert_array_equal(record["image"].squeeze(), wanted.squeeze(), err_msg=kind)


def test_images_within_sequences_are_converted_too(tmp_path):
    import tensorflow_datasets as tfds

    features = {"views": tfds.features.Sequence(tfds.features.Image(shape=(None, None, 3)))}
    pictures = [smooth().quantize(16), smooth().convert("L")]
    views = np.array([encoded(picture) for picture in pictures], object)
    write_prepared(tmp_path, "views", features, {"train": [{"views": views}]})
    found = data.load("views", "train", str(tmp_path))[0]["views"]
    for picture, image in zip(pictures, found, strict=True):
        np.testing.assert_array_equal(image, np.asarray(picture.convert("RGB")))


@pytest.mark.parametrize(
    "content",
    [
        encoded(smooth(), "JPEG")[:500],
        encoded(smooth())[:300],
        b"",
        b"this is no image",
        b"\x89PNG\r\n\x1a\n" + bytes(100),
    ],
    ids=["cut jpeg", "cut png", "empty", "text", "png of zeros"],
)
def test_a_damaged_image_is_named(tmp_path, content):
    dataset = prepare(tmp_path, [encoded(smooth()), content, encoded(smooth())])
    assert dataset[0]["image"].shape == (40, 60, 3)
    with pytest.raises(UserError, match=r"photos/1.0.0 is damaged at record 1 \(") as error:
        dataset[1]
    assert "\n" not in str(error.value)


def test_an_image_that_is_too_large_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    dataset = prepare(tmp_path, [encoded(smooth(10, 10)), encoded(smooth()), encoded(smooth(9, 9))])
    with pytest.raises(UserError, match="damaged at record 1 .*decompression bomb"):
        dataset[1]
