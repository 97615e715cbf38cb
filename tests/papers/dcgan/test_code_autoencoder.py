"""The autoencoder's codes find planted duplicates and keep different images apart."""

import jax
import jax.numpy as jnp
import numpy as np

from research import training
from research.data.images.squares import load
from research.papers.dcgan import code_autoencoder


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
    experiment = code_autoencoder.CodeTraining(faces + copies, num_steps=60, seed=0)
    state, _ = training.run(experiment, training.run_config(), tmp_path)
    kept = experiment.unique_images(state)
    assert (kept < 60).sum() >= 57  # different faces stay
    assert (kept >= 60).sum() <= 6  # most copies go
