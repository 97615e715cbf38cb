"""The released schedules and settings: `train.py` and `training/` of cybertronai/imagenet18_old."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from configs.imagenet_18min import get_config
from experiments import imagenet_18min
from research import app
from tests.optimizers import updates_of
from tests.rl.paper_table import check

TABLE = {
    "model.variant": "imagenet50",
    "model.shortcut": "B",
    "model.stride_in": "3x3",
    "model.width": 0,
    "model.last_scale": 0.0,  # --init-bn0
    "model.conv_fan": "fan_out",
    "model.classifier_deviation": 0.01,
    "optimizer.momentum": 0.9,
    "optimizer.l2_penalty": 1e-4,
    "compute_dtype": "float16",
    "loss_scale": 1024.0,
    "max_grad_norm": 0.0,
    "data.name": "imagenet2012",
    "data.num_train": 1_281_167,
    "data.num_classes": 1000,
    "data.crop": "resized",
    "data.mirror": True,
    "test.size": 288,
    "test.margin": 1.14,
}
# Of the repository's state 984105f; earlier ones have other phases for 16 machines.
# Pixels, images of a worker, smallest area of a crop, side of the copies that are read, and whether
# the test is on rectangles. 16 machines: 128 GPUs; 4 machines: 32.
PHASES = {
    "paper_16": [
        (128, 64, 0.08, 160, False),
        (128, 128, 0.08, 160, False),
        (224, 64, 0.08, 0, False),
        (224, 192, 0.08, 0, False),
        (288, 128, 0.5, 0, True),
    ],
    "paper_4": [
        (128, 256, 0.08, 160, False),
        (128, 512, 0.08, 160, False),
        (224, 224, 0.087, 352, False),
        (288, 128, 0.5, 0, True),
    ],
}


@pytest.mark.parametrize(("variant", "workers"), [("paper_16", 128), ("paper_4", 32)])
def test_settings(variant, workers):
    check(get_config(variant), {**TABLE, "workers": workers})
    if variant == "paper_16":
        assert get_config("paper").to_dict() == get_config(variant).to_dict()


@pytest.mark.parametrize("variant", PHASES)
def test_every_phase_reads_trains_and_tests_as_the_table_says(variant):
    experiment = app.build(imagenet_18min, get_config(variant))
    for index, (size, of_worker, area, stored, rectangular) in enumerate(PHASES[variant]):
        phase = experiment.phase(index)
        images = phase.images
        assert (images.size, images.min_area, images.stored_side) == (size, area, stored)
        assert phase.current.rectangular is rectangular
        assert phase.learner.model.norm_group == of_worker  # a worker's own statistics
        assert phase.per_step["images"] == of_worker * experiment.config.workers


def test_a_phase_goes_on_with_weights_and_momentum_and_counts_anew():
    config = get_config("smoke")
    experiment = app.build(imagenet_18min, config)
    fresh, before = (
        jax.tree.map(lambda x, i=i: x + i, jax.jit(experiment.init)(jax.random.key(i)))
        for i in (0, 1)
    )
    after = experiment.phase(1).warm_start(fresh, before).learner
    jax.tree.map(np.testing.assert_array_equal, after.params, before.learner.params)
    jax.tree.map(np.testing.assert_array_equal, after.variables, before.learner.variables)
    old, new = (optax.tree.get(s, "trace") for s in (before.learner.opt_state, after.opt_state))
    jax.tree.map(np.testing.assert_array_equal, new, old)
    assert jnp.all(new["stem_conv"]["kernel"] == 1)
    assert optax.tree.get(after.opt_state, "count") == 0


def test_an_update_is_that_of_momentum_with_a_penalty_on_all_but_norms():
    """v <- 0.9 v + g + penalty w; w <- w - rate v, at the rate of the step's epoch."""
    config = get_config("smoke")
    config.optimizer.l2_penalty = 0.1
    config.rate_phases = ((0.0, 0.1, 2.0, 0.5),)  # 4 steps an epoch
    tx = app.build(imagenet_18min, config).learner.tx
    for layer, name, penalty in (("a_conv", "kernel", 0.1), ("a_norm", "scale", 0.0)):
        w, v, rng = np.full(5, 2.0), np.zeros(5), np.random.default_rng(0)
        gradients = [{layer: {name: rng.normal(size=5)}} for _ in range(4)]
        found = updates_of(tx, {layer: {name: w}}, gradients)
        for t, (gradient, updates) in enumerate(zip(gradients, found, strict=True)):
            v = 0.9 * v + gradient[layer][name] + penalty * w
            change = -(0.1 + 0.4 * t / 8) * v
            np.testing.assert_allclose(updates[layer][name], change, rtol=1e-4, atol=1e-6)
            w = w + change
