"""The large variants against the paper and the released code, and the optimizer's formula."""

import numpy as np
import pytest

from configs.dcgan import get_config
from experiments import dcgan
from research import app
from tests.optimizers import some_gradients, updates_of
from tests.rl.paper_table import check
from tests.rl.reference import Adam

# Section 4; the penalty is the released code's.
TABLE = {
    "model.width": 128,
    "model.kernel": 5,
    "model.latent_size": 100,
    "batch_size": 128,
    "learning_rate": 2e-4,
    "adam_b1": 0.5,
    "l2_penalty": 1e-5,
    "accumulate_steps": 1,
    "max_grad_norm": 0.0,
    "data.image_size": 64,
    "data.channels": 3,
}
DIFFERENCES = {
    "paper": {"data.name": "lsun/bedroom"},
    "lsun": {"data.name": "lsun/bedroom"},
    "torch": {"data.name": "lsun/bedroom", "model.width": 64, "model.kernel": 4},
    # Newmu/dcgan_code, faces: 25 epochs, a scale for each unit of the first map.
    "celeb_a": {"data.name": "celeb_a", "model.first_norm": "unit", "total_images": 25 * 162_770},
    # Section 5.1: 28,672 features of ImageNet at 32 pixels; 400 labels a class of CIFAR-10.
    "imagenet": {
        "data.name": "imagenet_resized/32x32",
        "data.image_size": 32,
        "model.width": 256,
        "probe.data": "cifar10",
        "probe.num_labels": (4000, 50_000),
    },
    # Section 5.2: 1,000 labels.
    "svhn": {
        "data.image_size": 32,
        "model.width": 256,
        "probe.data": "svhn_cropped",
        "probe.num_labels": (1000,),
    },
}


@pytest.mark.parametrize("variant", DIFFERENCES)
def test_settings(variant):
    config = get_config(variant)
    check(config, {**TABLE, **DIFFERENCES[variant]})
    # Near-duplicates are removed from LSUN alone.
    assert (config.deduplicate_steps > 0) == (config.data.name == "lsun/bedroom")


@pytest.mark.parametrize("player", ["generator", "discriminator"])
def test_both_players_learn_by_adam_with_a_small_first_momentum(player):
    """Rate 2e-4, beta1 0.5; the penalty is a part of the gradient that Adam sees."""
    config = get_config("paper")
    config.l2_penalty = 0.1  # large enough to be seen
    learner = getattr(app.build(dcgan, config), player)
    params = {"kernel": np.full(5, 2.0)}
    gradients = some_gradients(params, 4)
    adam, weights = Adam(2e-4, eps=1e-8, b1=0.5, b2=0.999), dict(params)
    for updates, gradient in zip(updates_of(learner.tx, params, gradients), gradients, strict=True):
        penalized = {"kernel": gradient["kernel"] + 0.1 * weights["kernel"]}
        new = adam(weights, penalized)
        np.testing.assert_allclose(
            updates["kernel"], new["kernel"] - weights["kernel"], rtol=1e-3, atol=1e-9
        )
        weights = new
