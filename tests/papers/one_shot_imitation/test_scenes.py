"""What a policy is shown of a demonstration: temporal dropout, the last frame, nothing."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from research.papers.one_shot_imitation import scenes
from research.papers.one_shot_imitation.scenes import Demonstration, Scene

N, T, B = 6, 40, 3
LENGTHS = np.array([40, 39, 20, 7, 1, 30])


def numbered():
    """Frame t of demonstration n is 100 n + t throughout; beyond its end -1."""
    valid = np.arange(T) < LENGTHS[:, None]
    number = np.where(valid, 100.0 * np.arange(N)[:, None] + np.arange(T), -1)
    things = np.broadcast_to(number[..., None, None], (N, T, B, 2))
    return Demonstration(
        Scene(jnp.array(number[..., None]), jnp.array(things), jnp.ones((N, T, B), bool)),
        jnp.array(valid),
    )


@pytest.mark.parametrize("dropout", [0.5, 0.75, 0.95])
def test_temporal_dropout_keeps_its_share_in_order(dropout):
    whole = numbered()
    drop = jax.jit(scenes.temporal_dropout, static_argnums=2)
    counts = np.zeros((N, T))
    for seed in range(200):
        got = drop(jax.random.key(seed), whole, dropout)
        expected = np.clip(np.floor(LENGTHS * (1 - dropout) + 0.5), 1, None)
        assert np.array_equal(got.valid.sum(axis=1), expected)
        assert got.valid.shape[1] == scenes.kept_frames(T, dropout) == expected.max()
        for n in range(N):
            frames = np.asarray(got.scenes.robot[n, :, 0])[np.asarray(got.valid[n])] - 100 * n
            assert (np.diff(frames) > 0).all() and 0 <= frames.min() <= frames.max() < LENGTHS[n]
            assert got.valid[n, : len(frames)].all()
            np.testing.assert_array_equal(
                got.scenes.things[n, : len(frames), 1, 1], frames + 100 * n
            )
            counts[n, frames.astype(int)] += 1
    share = counts[0] / 200  # every frame is as likely; four standard deviations
    assert np.abs(share - share.mean()).max() < 4 * np.sqrt(share.mean() / 200)


def test_without_dropout_nothing_changes():
    whole = numbered()
    assert scenes.temporal_dropout(jax.random.key(0), whole, 0.0) is whole


def test_last_frame_and_nothing():
    last, nothing = scenes.last_frame(numbered()), scenes.nothing(numbered())
    np.testing.assert_array_equal(last.scenes.robot[:, 0, 0], 100 * np.arange(N) + LENGTHS - 1)
    assert last.valid.shape == nothing.valid.shape == (N, 1) and last.valid.all()
    assert not nothing.scenes.robot.any() and not nothing.scenes.things.any()
