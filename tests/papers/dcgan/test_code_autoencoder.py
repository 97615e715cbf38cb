"""The autoencoder's codes find planted duplicates and keep different images apart."""

import jax
import jax.numpy as jnp
import numpy as np

from research.data.images.squares import Squares, load
from research.papers.dcgan import code_autoencoder
from research.training.run_config import run_config


def test_has_the_paper_layers():
    shapes = jax.eval_shape(
        lambda key: code_autoencoder.CodeAutoencoder().init(
            key, jnp.zeros((1, 32, 32, 3)), train=False
        )["params"],
        jax.random.key(0),
    )
    assert shapes["encode"]["kernel"].shape == (3072, 128)
    assert shapes["decode"]["kernel"].shape == (128, 3072)


def test_planted_duplicates_are_removed(tmp_path):
    faces = [load("proc_faces/street", "train[:60]", 32, "")[i] for i in range(60)]
    rng = np.random.default_rng(0)
    # One grey level of noise on a few pixels: the same photograph, stored again.
    copies = [
        {**r, "image": r["image"] ^ (rng.random((32, 32, 3)) < 0.01).astype(np.uint8)}
        for r in faces[:20]
    ]
    config = run_config()
    config.deduplicate_steps = 60
    kept = code_autoencoder.unique_images(Squares(faces + copies, 32), config, tmp_path)
    assert (kept < 60).sum() >= 57  # different faces stay
    assert (kept >= 60).sum() <= 6  # most copies go


def test_nothing_is_removed_unless_asked(tmp_path):
    config = run_config()
    config.deduplicate_steps = 0
    assert code_autoencoder.unique_images(Squares([], 32), config, tmp_path) is None
