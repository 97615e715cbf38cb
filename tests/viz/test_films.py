"""Films and frames show what they are given."""

import io

import numpy as np
import pytest
from PIL import Image

from research.viz import films, game_frames


def frames(film):
    for i in range(film.n_frames):
        film.seek(i)
        yield np.asarray(film.convert("RGB"))


def test_a_film_has_every_frame_in_its_time(tmp_path):
    shown = [np.full((5, 7, 3), value, np.uint8) for value in (0, 100, 255)]
    films.save_gif(tmp_path / "a.gif", shown, 20, last_seconds=1.5)
    with Image.open(tmp_path / "a.gif") as film:
        assert [frame[0, 0, 0] for frame in frames(film)] == [0, 100, 255]
        durations = []
        for i in range(3):
            film.seek(i)
            durations.append(film.info["duration"])
        assert durations == [50, 50, 1500] and film.info["loop"] == 0


def test_frames_that_are_alike_keep_their_time():
    still = np.zeros((4, 4, 3), np.uint8)
    with Image.open(io.BytesIO(films.encode_gif([still] * 5, 10))) as film:
        total = 0
        for i in range(film.n_frames):
            film.seek(i)
            total += film.info["duration"]
        assert total == 500


@pytest.mark.parametrize("axis", [1, 2])
def test_shorter_films_stay_at_their_last_frame(axis):
    short, long = np.zeros((1, 2, 3, 3), np.uint8), np.arange(4, dtype=np.uint8)
    long = np.broadcast_to(long[:, None, None, None], (4, 2, 3, 3))
    both = films.side_by_side([short, long], axis=axis)
    assert len(both) == 4 and both.shape[axis] == 2 * short.shape[axis]
    first, second = np.split(both, 2, axis=axis)
    assert not first.any() and (second == long).all()


def test_numbers_are_bars():
    frame = game_frames.draw_numbers(np.array([1.0, -1.0])).astype(int)
    warm = frame[..., 0] - frame[..., 2] > 80
    half = game_frames.SIZE // 2
    assert warm[:half, :half].sum() > 500 < warm[half:, half:].sum()
    assert warm[: half - 4, half:].sum() == 0 == warm[half + 4 :, :half].sum()
