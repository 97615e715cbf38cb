"""Accurate, large minibatch SGD (Goyal et al., 2017).

    python experiments/imagenet_1hr.py
    python experiments/imagenet_1hr.py --config configs/imagenet_1hr.py:cifar10 \\
        --config.data.dir=DIR

The default trains a network of 3 blocks on procedural shapes of 8x8 pixels: five arms of three
seeds, 330 CPU seconds, nothing downloaded. `:cifar10` does the same with photographs, a batch of
512 against 32 and a rate of 0.05, in 425 CPU seconds. Expect the small and the large batch to train
alike where the rate is scaled and warmed up, and worse otherwise.

What a warm-up and zero gamma are for is a rate near the highest that trains at all. With 16
channels, averaged over all positions before the last layer, the default's is not near it; so that
layer sees 4x4 positions: `model.pool`. With all 8x8 the rate is too high. Pool, blocks and batch
were chosen on seed 10.

Paper: ResNet-50, top-1 error 23.60 (batch 256), 23.74 (8,192), 24.84 without warm-up, 41.67 with
the rate of batch 256, 24.11 with gamma one.
"""

from ml_collections import ConfigDict

from configs import common
from research.schema import non_negative, one_of

ALLOWED = {
    "model.width": non_negative,  # 0: the paper's
    "schedule.scaling": one_of("linear", "sqrt", "none"),
}

NORMALIZATION = {  # of each channel's 0..1: mean and deviation
    "proc_shapes": ((0.5, 0.5, 0.5), (0.27, 0.27, 0.27)),
    "cifar10": ((0.491, 0.482, 0.447), (0.247, 0.243, 0.262)),
    "imagenet2012": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
}


def get_config(variant: str = "") -> ConfigDict:
    config = common.base()
    config.arms.base = {"batch_size": 32}
    config.arms.warmup = {"check_exactly": True}
    config.arms.no_warmup = {"schedule.warmup": "none"}
    config.arms.unscaled = {"schedule.scaling": "none"}
    config.arms.gamma_one = {"model.last_scale": 1.0}
    config.seeds = (0, 1, 2)
    config.log_every_steps = 25

    config.batch_size = 256  # kn: k workers of n = model.norm_group images
    config.accumulate_steps = 1  # micro-batches in one optimizer step
    config.num_epochs = 10
    config.median_epochs = 1  # that reported errors are medians over
    config.check_exactly = False  # compare gradients and momentum with their definitions
    config.model = ConfigDict(
        {
            "variant": "flat3",
            "shortcut": "A",
            "stride_in": "3x3",  # of bottlenecks; the Torch variant
            "width": 16,  # channels of the first stage; 0 for the paper's
            "norm_group": 32,  # images that statistics are over; 0 for all of the batch
            "last_scale": 0.0,  # initial gamma of every block's last batch normalization
            "classifier_deviation": 0.01,
            "pool": 2,  # side of what is averaged before the last layer; 0 for all positions
        }
    )
    config.schedule = ConfigDict(
        {
            "learning_rate": 0.1,  # of the reference batch
            "reference_batch_size": 32,
            "scaling": "linear",  # with the batch; or "sqrt", "none"
            "warmup": "gradual",  # from the reference's rate; or "constant", "none"
            "warmup_epochs": 3.0,
            "drop_at_epochs": (6.0, 8.5),  # to a tenth
        }
    )
    config.optimizer = ConfigDict(
        {
            "momentum": 0.9,  # Nesterov's
            "momentum_correction": True,
            "l2_penalty": 1e-4,  # not on gamma and beta
        }
    )
    config.data.update(
        {
            "name": "proc_shapes",  # or a name for data.load
            "train_split": "train",
            "test_split": "test",
            "num_train": 12_800,  # of train_split
            "num_classes": 10,
            "image_size": 8,
            "reduce": 1,  # factor by which images are averaged down
            "crop": "whole",  # of training; or "resized", "random"
            "mirror": True,
            "mean": NORMALIZATION["proc_shapes"][0],
            "deviation": NORMALIZATION["proc_shapes"][1],
            "in_memory": True,  # images of one size that fit
        }
    )
    config.test = ConfigDict({"batch_size": 200, "image_size": 8, "short_side": 8})
    return common.choose(config, VARIANTS, variant)


def smoke(config: ConfigDict) -> None:
    """Seconds; what the tests run."""
    config.check_claims = False
    config.arms = ConfigDict(convert_dict=False)
    config.arms.warmup = {"check_exactly": True}
    config.seeds = (0,)
    config.model.update({"variant": "flat1", "width": 4, "norm_group": 16})
    config.batch_size = 32
    config.num_epochs = 6
    config.median_epochs = 3
    config.schedule.update(
        {"reference_batch_size": 16, "warmup_epochs": 2.0, "drop_at_epochs": (4.0,)}
    )
    config.data.update({"train_split": "train[:128]", "test_split": "test[:64]", "num_train": 128})
    config.log_every_steps = 4
    config.checkpoint_every_steps = 4
    config.test.batch_size = 32


def cifar10(config: ConfigDict) -> None:
    """The claim on CIFAR-10 averaged down to 8x8, 12,800 images, ten epochs."""
    of_data(config, "cifar10")
    config.data.update({"train_split": "train[:12800]", "test_split": "test[:2000]", "reduce": 4})
    config.batch_size = 512
    config.schedule.learning_rate = 0.05


def batches(config: ConfigDict) -> None:
    """The batch-size study: 32 to 1,024 images, warmed up gradually; other schedules."""
    config.check_claims = False
    config.arms = ConfigDict(convert_dict=False)
    for size in (32, 64, 128, 256, 512, 1024):
        config.arms[f"batch_{size}"] = {"batch_size": size}
    config.arms.constant_256 = {"schedule.warmup": "constant"}
    config.arms.sqrt_256 = {"schedule.scaling": "sqrt"}
    config.arms.half_rate_256 = {"schedule.learning_rate": 0.05}
    config.arms.twice_rate_256 = {"schedule.learning_rate": 0.2}
    config.arms.groups_of_64_256 = {"model.norm_group": 64}


def paper(config: ConfigDict) -> None:
    """ImageNet, ResNet-50, batch 8,192, 90 epochs: 14,076 steps (section 5.1)."""
    common.single(config)
    config.published_as = "resnet50"
    config.seeds = (0, 1, 2, 3, 4)
    config.log_every_steps = 100
    config.checkpoint_every_steps = 1000
    config.batch_size = 8192
    config.num_epochs = 90
    config.median_epochs = 5
    config.model.update({"variant": "imagenet50", "shortcut": "B", "width": 0, "pool": 0})
    config.schedule.update(
        {
            "learning_rate": 0.1,
            "reference_batch_size": 256,
            "warmup_epochs": 5.0,
            "drop_at_epochs": (30.0, 60.0, 80.0),
        }
    )
    of_data(config, "imagenet2012")
    config.data.update(
        {
            "test_split": "validation",
            "num_train": 1_281_167,
            "num_classes": 1000,
            "crop": "resized",
            "in_memory": False,
        }
    )
    at_size(config, 224)
    config.test.short_side = 256


def paper_256(config: ConfigDict) -> None:
    """Its baseline: batch 256."""
    paper(config)
    config.batch_size = 256


def paper_resnet101(config: ConfigDict) -> None:
    """The same with ResNet-101, batch 8,192."""
    paper(config)
    config.model.variant = "imagenet101"
    config.published_as = "resnet101"


def at_size(config: ConfigDict, size: int) -> None:
    """Images of training and of testing."""
    config.data.image_size = config.test.image_size = config.test.short_side = size


def of_data(config: ConfigDict, name: str) -> None:
    """A data set, with what its pixels are normalized by."""
    config.data.name = name
    config.data.mean, config.data.deviation = NORMALIZATION[name]


VARIANTS = {
    "smoke": smoke,
    "cifar10": cifar10,
    "batches": batches,
    "paper": paper,
    "paper_256": paper_256,
    "paper_resnet101": paper_resnet101,
}
