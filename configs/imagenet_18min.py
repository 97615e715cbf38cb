"""ImageNet in 18 minutes (Howard, Shaw, Bulatov, 2018).

    python experiments/imagenet_18min.py
    python experiments/imagenet_18min.py --config configs/imagenet_18min.py:cifar10 \\
        --config.data.dir=DIR

The default trains on procedural shapes of 8 to 16 pixels, and on scikit-learn's digits at random
places on canvases of 16x24 and 16x32 pixels and their transposes: five arms of three seeds, 190 CPU
seconds, nothing downloaded, float32. `:cifar10` takes 440 CPU seconds, `:mnist` 220. On shapes,
which show nothing for the first epoch, more and smaller steps are worth more than on photographs.

Published: 93 % top-5 in 16:08 minutes on 16 machines of 8 V100, 29:44 on 4.
"""

from typing import Any

from ml_collections import ConfigDict

from configs import common
from research.schema import non_negative, one_of

ALLOWED = {
    "model.width": non_negative,  # 0: the paper's
    "model.conv_fan": one_of("fan_in", "fan_out"),
}

NORMALIZATION = {  # of each channel's 0..1: mean and deviation
    "proc_shapes": ((0.5, 0.5, 0.5), (0.27, 0.27, 0.27)),
    "digits": ((0.2, 0.2, 0.2), (0.35, 0.35, 0.35)),
    "mnist": ((0.08, 0.08, 0.08), (0.25, 0.25, 0.25)),
    "cifar10": ((0.491, 0.482, 0.447), (0.247, 0.243, 0.262)),
    "imagenet2012": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
}


def get_config(variant: str = "") -> ConfigDict:
    config = common.base()
    config.seeds = (0, 1, 2)
    config.log_every_steps = 25

    # Each from an epoch on: (epoch, image size, images of a worker, smallest share of the image in
    # a resized crop, short side that images are stored at or 0, rectangular validation).
    config.phases = ()
    # Each from an epoch on: (epoch, learning rate) or (epoch, rate, end, rate at the end).
    config.rate_phases = ()
    config.num_epochs = 0.0
    config.accumulate_steps = 1  # micro-batches in one optimizer step
    config.workers = 1  # with several, batch normalization is over a worker's images
    config.loss_scale = 1.0  # for compute_dtype float16
    config.model = ConfigDict(
        {
            "variant": "cifar8",
            "shortcut": "A",
            "stride_in": "3x3",  # of bottlenecks; ResNet v1.5
            "width": 16,  # channels of the first stage; 0 for the paper's
            "last_scale": 0.0,  # initial gamma of every block's last batch normalization
            "conv_fan": "fan_out",
            "classifier_deviation": 0.01,
        }
    )
    config.optimizer = ConfigDict({"momentum": 0.9, "l2_penalty": 5e-4})
    config.data.update(
        {
            "name": "proc_shapes",  # or a name for data.load
            "train_split": "train[:8000]",
            "test_split": "test",
            "num_train": 8000,
            "num_test": 2000,  # canvases; else the split says it
            "num_classes": 10,
            "stored_size": 16,  # of shapes and canvases
            "canvas_longs": (),  # long sides of canvases for the images; () for images alone
            "crop": "whole",  # of training; or "resized", "random"
            "mirror": True,
            "reduce": 1,  # factor by which images are averaged down
            "mean": NORMALIZATION["proc_shapes"][0],
            "deviation": NORMALIZATION["proc_shapes"][1],
            "in_memory": True,  # images of one size that fit
        }
    )
    config.test = ConfigDict(
        {
            "batch_size": 100,
            "size": 16,  # of the final test
            "margin": 1.0,  # short side of test images, in crops
        }
    )
    resizing(config, 16)  # sets phases, rates and epochs
    config.arms.canvases = on_canvases("digits", 16, (24, 32), 8000, 3.0)
    return common.choose(config, VARIANTS, variant)


def one_cycle(num_epochs: float, peak: float = 0.4) -> dict[str, Any]:
    """Overrides: a rate that rises to its peak at 30 % of the run and falls to zero at its end."""
    top = 0.3 * num_epochs
    return {
        "num_epochs": num_epochs,
        "rate_phases": ((0.0, peak / 10, top, peak), (top, peak, num_epochs, 0.0)),
    }


def resizing(config: ConfigDict, size: int) -> None:
    """Arms of three epochs' worth of pixels at full size, and two that never see it."""
    half, three_quarters = size // 2, size * 3 // 4
    config.phases = ((0, half, 64), (3, three_quarters, 64), (5, size, 64))
    config.update(one_cycle(6.0))
    config.arms.fixed = {"phases": ((0, size, 64),), **one_cycle(3.0)}
    config.arms.progressive = {}
    config.arms.no_last = {"phases": ((0, half, 64), (3, three_quarters, 64))}
    config.arms.small = {"phases": ((0, half, 64),)}


def on_canvases(
    name: str, side: int, longs: tuple[int, ...], num_train: int, num_epochs: float
) -> dict:
    """Overrides: digits at random places on canvases of `side` x `longs`, trained on crops."""
    return {
        "data.name": name,
        "data.train_split": "train",
        "data.test_split": "test",
        "data.num_train": num_train,
        "data.num_test": 3_000,
        "data.crop": "random",
        "data.mirror": False,
        "data.stored_size": side,
        "data.canvas_longs": longs,
        "data.mean": NORMALIZATION[name][0],
        "data.deviation": NORMALIZATION[name][1],
        "phases": ((0, side, 64),),
        "test.size": side,
        **one_cycle(num_epochs),
    }


def smoke(config: ConfigDict) -> None:
    """Seconds; what the tests run."""
    config.check_claims = False
    config.arms = ConfigDict(convert_dict=False)
    config.arms.progressive = {}
    config.seeds = (0,)
    config.log_every_steps = 4
    config.checkpoint_every_steps = 4
    config.phases = ((0, 8, 32), (2, 12, 16), (3, 16, 16))
    config.update(one_cycle(4.0, peak=0.1))
    config.model.update({"variant": "flat1", "width": 4})
    config.data.update(
        {
            "train_split": "train[:128]",
            "test_split": "test[:64]",
            "num_train": 128,
            "stored_size": 16,
        }
    )
    config.test.update({"batch_size": 24, "size": 16})


def cifar10(config: ConfigDict) -> None:
    """Progressive resizing on CIFAR-10, 8,000 images, three epochs' worth of pixels."""
    config.arms = ConfigDict(convert_dict=False)
    of_data(config, "cifar10")
    config.data.test_split = "test[:2000]"
    resizing(config, 32)
    config.test.size = 32


def mnist(config: ConfigDict) -> None:
    """Rectangular validation on canvases with MNIST's digits."""
    config.arms = ConfigDict(convert_dict=False)
    config.arms.canvases = {}  # the claims' name of it
    canvases = on_canvases("mnist", 28, (40, 48, 56), 12_000, 5.0)
    config.update_from_flattened_dict(canvases)


def of_data(config: ConfigDict, name: str) -> None:
    """A data set, with what its pixels are normalized by."""
    config.data.name = name
    config.data.mean, config.data.deviation = NORMALIZATION[name]


def paper_16(config: ConfigDict) -> None:
    """The released schedule of 16 machines (128 GPUs)."""
    imagenet(config)
    rate = 1.88
    config.workers = 128
    config.num_epochs = 50.0
    config.phases = (
        (0, 128, 64, 0.08, 160),
        (6, 128, 128, 0.08, 160),
        (16, 224, 64),
        (19, 224, 192),
        (37, 288, 128, 0.5, 0, True),
    )
    config.rate_phases = (
        (0, rate, 6, 2 * rate),
        (6, 2 * rate),
        (16, rate),
        (19, 2 * rate * 0.15),
        (31, 2 * rate * 0.015),
        (37, 2 * rate / 100),
        (38, 2 * rate / 1000),
    )


def paper_4(config: ConfigDict) -> None:
    """The released schedule of 4 machines (32 GPUs)."""
    imagenet(config)
    rate = 2.0
    config.workers = 32
    config.num_epochs = 30.0
    config.phases = (
        (0, 128, 256, 0.08, 160),
        (6, 128, 512, 0.08, 160),
        (13, 224, 224, 0.087, 352),
        (28, 288, 128, 0.5, 0, True),
    )
    config.rate_phases = (
        (0, rate, 6, 2 * rate),
        (6, 2 * rate),
        (11, 2 * rate, 13, rate),
        (13, 0.875 * rate),
        (16, 0.875 * rate, 23, 0.0875 * rate),
        (23, 0.0875 * rate, 28, 0.00875 * rate),
        (28, 0.005 * rate, 30, 0.0005 * rate),
    )


def imagenet(config: ConfigDict) -> None:
    """ImageNet in float16; learning rates stand as in the released code."""
    common.single(config)
    config.published_as = "resnet50"
    config.seeds = (0,)
    config.log_every_steps = 20
    config.checkpoint_every_steps = 500
    config.compute_dtype = "float16"
    config.loss_scale = 1024.0
    config.model.update({"variant": "imagenet50", "shortcut": "B", "width": 0})
    config.optimizer.l2_penalty = 1e-4
    of_data(config, "imagenet2012")
    config.data.update(
        {
            "train_split": "train",
            "test_split": "validation",
            "num_train": 1_281_167,
            "num_classes": 1000,
            "crop": "resized",
            "in_memory": False,
        }
    )
    config.test.update({"batch_size": 128, "size": 288, "margin": 1.14})


VARIANTS = {
    "smoke": smoke,
    "cifar10": cifar10,
    "mnist": mnist,
    "paper": common.described("The same as paper_16.", paper_16),
    "paper_16": paper_16,
    "paper_4": paper_4,
}
