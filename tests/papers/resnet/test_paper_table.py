"""The variants against the paper: section 3.4 for ImageNet, 4.2 for CIFAR-10."""

import pytest

from configs.resnet import CIFAR_DEPTHS, get_config
from research.models.resnet import IMAGENET
from tests.rl.paper_table import check

BOTH = {
    "model.residual": True,
    "model.stride_in": "1x1",
    "model.width": 0,
    "optimizer.momentum": 0.9,
    "optimizer.l2_penalty": 1e-4,
    "schedule.learning_rate": 0.1,
    "schedule.warmup_steps": 0,
    "accumulate_steps": 1,
    "max_grad_norm": 0.0,
    "data.reduce": 1,
}
CIFAR = {
    **BOTH,
    "model.shortcut": "A",
    "model.norm_group": 64,  # a batch of 128 on two GPUs
    "batch_size": 128,
    "num_steps": 64_000,
    "schedule.lower_at_steps": (32_000, 48_000),
    "schedule.plateau_steps": 0,
    "data.name": "cifar10",
    "data.train_split": "train",
    "data.num_train": 50_000,
    "data.image_size": 32,
    "data.augmentation": "pad_crop",
    "test.crops": "one",
}
IMAGENET_TABLE = {
    **BOTH,
    "model.shortcut": "B",
    "model.norm_group": 32,  # a batch of 256 on eight GPUs
    "batch_size": 256,
    "num_steps": 600_000,
    "schedule.warmup_learning_rate": 0.1,
    "schedule.warmup_until_error": 0.0,
    "schedule.lower_at_steps": (),
    "data.name": "imagenet2012",
    "data.num_train": 1_281_167,
    "data.num_classes": 1000,
    "data.image_size": 224,
    "data.augmentation": "scale_crop",
    "test.crops": "ten",
}


@pytest.mark.parametrize("depth", CIFAR_DEPTHS)
def test_cifar(depth):
    # "A learning rate of 0.01 ... until the training error is below 80 %", for 110 layers.
    deep = depth >= 110
    check(
        get_config(f"resnet{depth}"),
        {
            **CIFAR,
            "model.variant": f"cifar{depth}",
            "schedule.warmup_learning_rate": 0.01 if deep else 0.1,
            "schedule.warmup_until_error": 80.0 if deep else 0.0,
        },
    )


@pytest.mark.parametrize("depth", IMAGENET)
def test_imagenet(depth):
    config = get_config(f"resnet{depth}")
    check(config, {**IMAGENET_TABLE, "model.variant": f"imagenet{depth}"})
    assert config.schedule.plateau_steps > 0  # "divided by 10 when the error plateaus"


@pytest.mark.parametrize("depth", [18, 20, 34, 56])
def test_plain_networks_differ_in_their_shortcuts_alone(depth):
    plain, residual = get_config(f"plain{depth}"), get_config(f"resnet{depth}")
    assert plain.model.residual is False and residual.model.residual is True
    plain.model.residual, plain.published_as = True, residual.published_as
    assert plain.to_dict() == residual.to_dict()


def test_paper_is_the_deepest_of_cifar_that_is_shown_whole():
    assert get_config("paper").to_dict() == get_config("resnet110").to_dict()
