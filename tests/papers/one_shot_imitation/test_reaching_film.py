"""A film of particle reaching: two ways side by side, the target with a ring."""

import numpy as np

from research.papers.one_shot_imitation.reaching_film import film_frames


def test_ways_go_on_side_by_side():
    def way(steps):
        x = np.zeros((steps, 2 + 3 * 2))
        x[:, 0] = np.linspace(-0.5, 0.5, steps)
        x[:, 2:] = [1, 0.5, 0.5, 1, -0.5, -0.5]
        return x

    frames = film_frames([way(3), way(6)], 1)
    assert frames.shape[0] == 6 and frames.shape[2] == 2 * frames.shape[1]
    left, right = np.split(frames, 2, axis=2)
    assert (left[2] == left[5]).all() and (right[2] != right[5]).any()
    other = film_frames([way(3), way(6)], 0)
    assert (other != frames).any()  # the ring is around another one
