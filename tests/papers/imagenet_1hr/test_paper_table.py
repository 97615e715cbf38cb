"""`:paper` and its like against section 5.1, and updates along the warm-up against the formula."""

import numpy as np
import pytest

from configs.imagenet_1hr import get_config
from experiments import imagenet_1hr
from research import app
from tests.optimizers import updates_of
from tests.rl.paper_table import check

TABLE = {
    "model.variant": "imagenet50",
    "model.shortcut": "B",
    "model.stride_in": "3x3",
    "model.width": 0,
    "model.pool": 0,
    "model.norm_group": 32,  # statistics are of each worker's 32 images
    "model.last_scale": 0.0,
    "model.classifier_deviation": 0.01,
    "batch_size": 8192,
    "num_epochs": 90,
    "median_epochs": 5,
    "seeds": (0, 1, 2, 3, 4),
    "max_grad_norm": 0.0,
    "schedule.learning_rate": 0.1,
    "schedule.reference_batch_size": 256,
    "schedule.scaling": "linear",
    "schedule.warmup": "gradual",
    "schedule.warmup_epochs": 5.0,
    "schedule.drop_at_epochs": (30.0, 60.0, 80.0),
    "optimizer.momentum": 0.9,
    "optimizer.momentum_correction": True,
    "optimizer.l2_penalty": 1e-4,
    "data.name": "imagenet2012",
    "data.num_train": 1_281_167,
    "data.num_classes": 1000,
    "data.image_size": 224,
    "data.crop": "resized",  # area of 8 to 100 %, aspect of 3/4 to 4/3
    "data.mirror": True,
    "test.image_size": 224,
    "test.short_side": 256,
}
DIFFERENCES = {
    "paper": {},
    "paper_256": {"batch_size": 256},
    "paper_resnet101": {"model.variant": "imagenet101"},
}


@pytest.mark.parametrize("variant", DIFFERENCES)
def test_settings(variant):
    check(get_config(variant), {**TABLE, **DIFFERENCES[variant]})


def test_updates_are_nesterovs_with_a_penalty_on_all_but_norms():
    """v <- 0.9 v + g; w <- w - rate (g + 0.9 v), along a warm-up from the small batch's rate."""
    config = get_config("smoke")
    config.optimizer.l2_penalty = 0.1
    experiment = app.build(imagenet_1hr, config)
    # 128 images, 32 in a batch: two epochs from 0.1 to 0.2, in eight steps.
    rates = [0.1 + 0.1 * t / 8 for t in range(8)] + [0.2] * 4
    for layer, name, penalty in (("a_conv", "kernel", 0.1), ("a_norm", "scale", 0.0)):
        w, v, rng = np.full(5, 2.0), np.zeros(5), np.random.default_rng(0)
        gradients = [{layer: {name: rng.normal(size=5)}} for _ in rates]
        found = updates_of(experiment.learner.tx, {layer: {name: w}}, gradients)
        for rate, gradient, updates in zip(rates, gradients, found, strict=True):
            g = gradient[layer][name] + penalty * w
            v = 0.9 * v + g
            change = -rate * (g + 0.9 * v)
            np.testing.assert_allclose(updates[layer][name], change, rtol=1e-3, atol=1e-6)
            w = w + change
