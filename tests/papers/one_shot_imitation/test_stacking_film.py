"""Films of block stacking."""

import jax
import numpy as np
from PIL import Image

from research.papers.one_shot_imitation.block_stacking import SIDE, BlockStacking
from research.papers.one_shot_imitation.stacking_film import save_film


def test_a_film_has_every_frame_and_both_panels(tmp_path):
    family = BlockStacking(3, ((2,),), 9)
    first, _ = family.reset(jax.random.key(0))
    moved = np.asarray(first) + np.array([0.3] + [0] * 11)
    episodes = [np.stack([first, moved, first]), np.stack([first])]
    save_film(tmp_path / "film.gif", episodes, ("shown", "done"), SIDE)
    film = Image.open(tmp_path / "film.gif")
    assert film.n_frames == 3
    frames = []
    for t in range(3):
        film.seek(t)
        frames.append(np.asarray(film.convert("RGB")))
    half = frames[0].shape[1] // 2
    assert (frames[0][:, :half] != frames[1][:, :half]).any()  # the gripper moved on the left
    assert (frames[0][40:, half:] == frames[1][40:, half:]).all()  # and not on the right
    assert len({tuple(c) for c in frames[0].reshape(-1, 3)}) >= 6
