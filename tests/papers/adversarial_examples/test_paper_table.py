"""The paper's variants against the papers and their released code."""

import pytest

from configs.adversarial_examples import get_config
from tests.rl.paper_table import check

# arXiv:1412.6572, sections 4 and 6, and the released permutation-invariant maxout network
# (pylearn2, scripts/papers/maxout/mnist_pi.yaml), which it trains.
MAXOUT = {
    "model.kind": "dense",
    "model.units": "maxout",
    "model.pieces": 5,
    "model.dropout": 0.5,
    "model.input_dropout": 0.2,
    "model.input_dropout_scale": 1.0,
    "model.uniform_init": 0.005,
    "batch_size": 100,
    "optimizer.name": "maxout_sgd",
    "optimizer.learning_rate": 0.1,
    "optimizer.max_squared_norm": 1.9365**2,
    "optimizer.momentum_epochs": 250,
    "data.name": "mnist",
    "data.num_train": 50_000,
    "data.held_out_split": "train[50000:]",
    "data.scale": 0.5,  # pixels in 0 to 1
    "train.epsilon": 0.25,
    "train.alpha": 0.5,
    "train.clip": False,
    "eval.epsilon": 0.25,
}
# arXiv:1706.06083, sections 4 and 5, and the released configurations.
MADRY = {
    "train.perturbation": "pgd",
    "train.alpha": 0.0,
    "train.clip": True,
}
TABLES = {
    "paper": {
        **MAXOUT,
        "model.widths": (1600, 1600),
        "train.perturbation": "fgsm",
        "best_metric": "held_out/fgsm_error",
    },
    "paper_standard": {
        **MAXOUT,
        "model.widths": (240, 240),
        "train.perturbation": "none",
        "best_metric": "held_out/error",
    },
    "madry_mnist": {
        **MADRY,
        "model.kind": "conv",
        "model.widths": (32, 64, 1024),
        "train.epsilon": 0.3,
        "train.step_size": 0.01,
        "train.attack_steps": 40,
        "eval.epsilon": 0.3,
        "eval.step_size": 0.01,
        "eval.attack_steps": 40,
        "eval.restarts": 20,
        "batch_size": 50,
        "optimizer.name": "adam",
        "optimizer.learning_rate": 1e-4,
        "data.name": "mnist",
        "data.num_train": 60_000,
    },
    "madry_cifar10": {
        **MADRY,
        "model.kind": "wide_resnet",
        "model.blocks": 5,
        "model.widths": (16, 160, 320, 640),
        "train.epsilon": 8 / 255,
        "train.step_size": 2 / 255,
        "train.attack_steps": 7,
        "eval.epsilon": 8 / 255,
        "eval.step_size": 2 / 255,
        "eval.attack_steps": 20,
        "batch_size": 128,
        "optimizer.name": "momentum",
        "optimizer.learning_rate": 0.1,
        "optimizer.momentum": 0.9,
        "optimizer.weight_decay": 2e-4,
        "optimizer.drops_at": (0.5, 0.75),  # steps 40,000 and 60,000
        "optimizer.drop_factor": 10.0,
        "data.name": "cifar10",
        "data.augmentation": "pad_crop",
    },
}


@pytest.mark.parametrize("variant", TABLES)
def test_settings(variant):
    check(get_config(variant), TABLES[variant])


@pytest.mark.parametrize(
    ("variant", "steps"), [("madry_mnist", 100_000), ("madry_cifar10", 80_000)]
)
def test_as_many_steps_as_published_to_an_epoch(variant, steps):
    config = get_config(variant)
    each = config.data.num_train // config.batch_size
    assert abs(config.num_epochs * each - steps) <= each
