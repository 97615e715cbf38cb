"""Images of any shape as squares: padded, cropped, scaled."""

import numpy as np
import pytest

from research.data.images import augment, squares


def test_small_images_are_padded_evenly():
    out = augment.square(np.full((28, 28, 1), 7, np.uint8), 32)
    assert out.shape == (32, 32, 1)
    np.testing.assert_array_equal(out[2:30, 2:30], 7)
    assert out.sum() == 7 * 28 * 28


def test_right_size_is_left_alone():
    image = np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)
    np.testing.assert_array_equal(augment.square(image, 16), image)


@pytest.mark.parametrize("shape", [(40, 64, 3), (64, 40, 3), (33, 32, 1), (218, 178, 3)])
def test_large_images_are_scaled_and_cropped_in_the_centre(shape):
    ramp = np.zeros(shape, np.float64)
    ramp += np.linspace(0, 255, shape[0])[:, None, None]
    out = augment.square(ramp.astype(np.uint8), 32)
    assert out.shape == (32, 32, shape[2])
    assert abs(out.mean() - 127) < 5  # as much is cut above as below
    assert (np.diff(out[:, 5, 0].astype(int)) >= 0).all()


def test_view_over_records_keeps_the_rest_and_chooses():
    records = [{"image": np.full((4, 4, 1), 10 * i, np.uint8), "label": i} for i in range(5)]
    data = squares.Squares(records, 8)
    assert len(data) == 5 and data[3]["label"] == 3 and data[3]["image"].shape == (8, 8, 1)
    np.testing.assert_array_equal(data.labels(), np.arange(5))
    chosen = data.choose(np.array([4, 1]))
    assert len(chosen) == 2 and chosen[0]["label"] == 4
    images = data.images(2)
    assert images.shape == (2, 8, 8, 1) and images.dtype == np.float32
    assert images.min() == -1 and images.max() == np.float32(10 / 127.5 - 1)


def test_faces_by_name():
    data = squares.load("proc_faces/street", "test[:3]", 16, "")
    assert len(data) == 3 and data[0]["image"].shape == (16, 16, 3)


def test_grey_images_get_a_channel_and_digits_of_16_levels_all_256():
    records = [
        {"image": np.full((8, 8), 16, np.float32)},
        {"image": np.full((8, 8), 5, np.float32)},
        {"image": np.full((8, 8), 5, np.uint8)},
    ]
    shown = squares.Squares(records, 8)
    assert [(shown[i]["image"].shape, shown[i]["image"].max()) for i in range(3)] == [
        ((8, 8, 1), 255),
        ((8, 8, 1), 80),
        ((8, 8, 1), 5),
    ]
