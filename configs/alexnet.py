"""ImageNet classification with deep convolutional networks (Krizhevsky et al., 2012), and dropout
(Hinton et al., 2012).

    python experiments/alexnet.py
    python experiments/alexnet.py --config configs/alexnet.py:mnist --config.data.dir=DIR
    python experiments/alexnet.py --config configs/alexnet.py:paper --config.mesh.model=2

The default compares ReLU with tanh on procedural shapes of 16x16 pixels, each at the better of two
rates, by the epochs that it takes to 25 % training error; dropout with none in a network of 64,
800, 800 and 10 units on scikit-learn's digits; and two towers on two simulated devices with grouped
convolutions on one. Nothing is downloaded; three seeds take 15 minutes on one shared core. Of 360
test digits too few are wrong to tell errors apart, so there the claim is about the cross-entropy;
`:mnist` has the errors.

Paper: ImageNet 2012, top-1 and top-5 error of one network 40.7 and 18.2 % on the validation set;
2010, 37.5 and 17.0 % (39.0 and 18.3 without the ten crops). ReLU six times as fast as tanh on
CIFAR-10. Hinton et al.: 160 errors on MNIST without dropout, 110 with it.

`:paper` takes 900,000 steps, five to six days on two GTX 580 then. With mesh.model=2 towers are on
devices of their own. The rate is divided by ten when the error on 16 validation images a step has
stalled over 10,000 steps, three times at most. `:paper_dropout` has the paper's rate, 10; that its
units are logistic is from memory.
"""

from collections.abc import Mapping
from typing import Any

from ml_collections import ConfigDict

from configs import common
from research.schema import non_negative

ALLOWED = {"held_out_rows": non_negative, "stop_at_target_every_epochs": non_negative}

# Of learning rates, in thousandths; the best is taken for each activation.
RATES = (3, 10, 30)


def get_config(variant: str = "") -> ConfigDict:
    config = common.base()
    activations(config, RATES[1:], UNREGULARIZED)
    config.arms.relu_10["check_towers"] = "small_towers"
    dropout(config)
    config.simulated_devices = 2  # where the CPU is the only device
    config.seeds = (0, 1, 2)
    config.log_every_steps = 25

    config.batch_size = 100
    config.accumulate_steps = 1  # micro-batches in one optimizer step
    config.num_epochs = 150.0
    config.held_out_rows = 0  # of each step, that the error which lowers the rate is measured on
    config.target_error = 0.0  # of training, percent, that epochs are counted to
    config.stop_at_target_every_epochs = 0.0  # look so often whether it is reached; 0: go on anyway
    config.check_towers = ""  # architecture whose towers are tried on two devices, on one; "": none
    config.model = ConfigDict(
        {
            "variant": "mlp",
            "activation": "relu",
            "norm": {"size": 5, "k": 2.0, "alpha": 1e-4, "beta": 0.75, "divide_alpha": False},
            "pool_window": 3,  # 2: without overlap
            "input_scale": 127.5 / 16,  # of pixels in units of 127.5, less their mean
            "dropout": 0.5,  # of hidden fully-connected units
            "input_dropout": 0.2,  # of what they are computed from
        }
    )
    config.optimizer = ConfigDict(
        {
            "rule": "dropout",  # of Hinton et al.; or "alexnet"
            # alexnet
            "momentum": 0.9,
            "weight_decay": 0.0,
            "bias_rate": 1.0,  # that of biases, as a multiple; 2 in the author's configurations
            # dropout
            "rate_decay": 0.998,  # in an epoch
            "rising": {"start": 0.5, "end": 0.99, "epochs": 75},  # momentum
            "max_squared_norm": 15.0,  # of the weights into a unit
        }
    )
    config.schedule = ConfigDict(
        {
            "learning_rate": 1.0,
            "warmup_learning_rate": 1.0,
            "warmup_steps": 0,
            "warmup_until_error": 0.0,
            "lower_at_steps": (),
            "plateau_steps": 0,  # 0: the rate is not lowered on a plateau
            "plateau_percent": 0.1,  # of the held-out error, that a window must improve by
            "max_plateaus": 3,
        }
    )
    config.data.update(
        {
            "name": "digits",  # or a name for data.load, or "proc_shapes"
            "train_split": "train",
            "held_out_split": "test",  # of images that the rate follows the error on
            "test_split": "test",
            "num_train": 1437,  # of train_split
            "num_classes": 10,
            "image_size": 8,
            "channels": 1,
            "reduce": 1,  # factor by which images are averaged down
            "augmentation": "none",
            "statistics_images": 0,  # that the per-pixel mean is computed from; 0: no mean
        }
    )
    config.test = ConfigDict({"batch_size": 200, "short_sides": (), "crops": "one"})
    return common.choose(config, VARIANTS, variant)


# Networks without regularization, in which activations are compared: on procedural shapes.
UNREGULARIZED: dict[str, Any] = {
    "model.variant": "cifar",
    "model.dropout": 0.0,
    "model.input_dropout": 0.0,
    "model.input_scale": 2.0,
    "optimizer.rule": "alexnet",
    "batch_size": 128,
    "num_epochs": 16.0,
    "stop_at_target_every_epochs": 4.0,
    "target_error": 25.0,
    "data.name": "proc_shapes",
    "data.train_split": "train[:6400]",
    "data.test_split": "test",
    "data.num_train": 6400,
    "data.image_size": 16,
    "data.channels": 3,
    "data.statistics_images": 6400,
}


def activations(config: ConfigDict, rates: tuple[int, ...], overrides: Mapping[str, Any]) -> None:
    """Arms of each activation with each rate."""
    for activation in ("relu", "tanh"):
        for rate in rates:
            config.arms[f"{activation}_{rate}"] = {
                **overrides,
                "model.activation": activation,
                "schedule.learning_rate": rate / 1000,
            }


def dropout(config: ConfigDict) -> None:
    """Arms with dropout, and without."""
    config.arms.dropout = {}
    config.arms.no_dropout = {"model.dropout": 0.0, "model.input_dropout": 0.0}


def smoke(config: ConfigDict) -> None:
    """Seconds; what the tests run."""
    config.check_claims = False
    config.arms = ConfigDict(convert_dict=False)
    config.arms.relu = {}
    config.arms.tanh = {
        "model.activation": "tanh",
        "optimizer.rule": "dropout",
        "model.variant": "mlp",
        "stop_at_target_every_epochs": 0.0,
    }
    config.seeds = (0,)
    config.simulated_devices = 1
    alexnet(config, "small_towers", 7)
    config.model.input_scale = 1.0
    config.batch_size = 32
    config.held_out_rows = 8
    config.num_epochs = 6.0
    config.target_error = 1.0
    config.stop_at_target_every_epochs = 4.0
    config.schedule.plateau_steps = 8
    config.log_every_steps = 4
    config.checkpoint_every_steps = 4
    config.data.update(
        {
            "name": "proc_shapes",
            "train_split": "train[:128]",
            "held_out_split": "test[64:128]",
            "test_split": "test[:16]",
            "num_train": 128,
            "num_classes": 10,
            "statistics_images": 128,
        }
    )
    config.test.batch_size = 32


def cifar10(config: ConfigDict) -> None:
    """ReLU against tanh on 10,000 images of CIFAR-10."""
    config.simulated_devices = 1
    config.update_from_flattened_dict(
        {
            **UNREGULARIZED,
            "num_epochs": 40.0,
            "data.name": "cifar10",
            "data.image_size": 32,
            "data.train_split": "train[:10000]",
            "data.num_train": 10_000,
            "data.test_split": "test[:2000]",
        }
    )
    config.arms = ConfigDict(convert_dict=False)
    activations(config, RATES, {})


def mnist(config: ConfigDict) -> None:
    """Dropout against none on 5,000 images of MNIST."""
    config.simulated_devices = 1
    config.arms = ConfigDict(convert_dict=False)
    dropout(config)
    on_mnist(config)
    config.data.update({"train_split": "train[:5000]", "num_train": 5000})
    config.num_epochs = 60.0
    config.optimizer.rising.epochs = 30


def paper(config: ConfigDict) -> None:
    """ImageNet, two towers, 90 epochs, 10-crop test."""
    at_paper_scale(config)
    alexnet(config, "2012", 224)
    config.published_as = "two_towers"


def paper_one_tower(config: ConfigDict) -> None:
    """The same without the split into towers."""
    at_paper_scale(config)
    alexnet(config, "2012_one_tower", 224)
    config.published_as = "one_tower"


def paper_dropout(config: ConfigDict) -> None:
    """Hinton et al.: MNIST, 3,000 epochs, logistic units."""
    at_paper_scale(config)
    on_mnist(config)
    config.num_epochs = 3000.0
    config.optimizer.rising.epochs = 500
    config.model.activation = "logistic"
    config.schedule.learning_rate = 10.0


def at_paper_scale(config: ConfigDict) -> None:
    """One run on whole data sets."""
    common.single(config)
    config.seeds = (0,)
    config.simulated_devices = 1
    config.log_every_steps = 100
    config.checkpoint_every_steps = 2000


def alexnet(config: ConfigDict, architecture: str, size: int) -> None:
    """Sections 3 to 5, on ImageNet."""
    config.batch_size = 128
    config.num_epochs = 90.0
    config.held_out_rows = 16
    config.model.update({"variant": architecture, "input_scale": 127.5, "input_dropout": 0.0})
    config.optimizer.update({"rule": "alexnet", "weight_decay": 5e-4, "bias_rate": 2.0})
    config.schedule.update({"learning_rate": 0.01, "plateau_steps": 10_000})
    config.data.update(
        {
            "name": "imagenet2012",
            "train_split": "train",
            "held_out_split": "validation",
            "test_split": "validation",
            "num_train": 1_281_167,
            "num_classes": 1000,
            "image_size": size,
            "channels": 3,
            "augmentation": "square_crop",
            "statistics_images": 10_000,
        }
    )
    config.test.update({"short_sides": (size * 8 // 7,), "crops": "ten"})


def on_mnist(config: ConfigDict) -> None:
    """All of MNIST."""
    config.data.update(
        {
            "name": "mnist",
            "train_split": "train",
            "held_out_split": "train[50000:]",
            "test_split": "test",
            "num_train": 60_000,
            "image_size": 28,
        }
    )
    config.model.input_scale = 0.5


VARIANTS = {
    "smoke": smoke,
    "cifar10": cifar10,
    "mnist": mnist,
    "paper": paper,
    "paper_one_tower": paper_one_tower,
    "paper_dropout": paper_dropout,
}
