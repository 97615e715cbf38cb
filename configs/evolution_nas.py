r"""Regularized Evolution (Real et al., 2018), Large-Scale Evolution (Real et al., 2017).

    python experiments/evolution_nas.py
    python experiments/evolution_nas.py --config configs/evolution_nas.py:mnist \
        --config.data.dir=DIR

The default checks the toy of bit strings (ten searches of 4,000 models for each arm and seed), and
searches cells on scikit-learn's digits, 160 children each by evolution and at random, nothing
downloaded. Minutes on two cores.

`:paper`, `:large_scale` and `:workers` are run by any number of workers: start the same command
several times with other `--config.seeds` and `--workdir`, and one `--config.evolution.folder`.

Paper: 3.34 +- 0.06 % test error on CIFAR-10 with 3.2M parameters (AmoebaNet-A); 94.6 % test
accuracy (2017).
"""

from ml_collections import ConfigDict

from configs import common
from research.schema import non_negative, one_of, positive, share

ALLOWED = {
    "task": one_of("bits", "cells", "folder", "layers", "network"),
    "evolution.search": one_of("aging", "non_aging", "random"),
    "evolution.population": positive,
    "evolution.sample": positive,
    "cells.combinations": positive,
    "cells.shrink": positive,
    "*.normal_cells": positive,
    "*.train_steps": positive,
    "*.batch_size": positive,
    "layers.first_rate": positive,
    "bits.repeats": positive,
    "identity_share": share,
    "required.*": non_negative,
}

# Rates of the children, chosen for random search: validation accuracy of 48 of them on seed 10, of
# the ten best and of all. Evolution has the same. The toy has nothing to choose: P and S are given.
TRIED = {
    "random": "0.05: 78.6, 64.4; 0.1: 84.5, 73.9; 0.2: 87.7, 77.6",
    "aging": "as random search",
}


def bits(search: str, **more: object) -> dict:
    """An arm of the toy."""
    return {
        "task": "bits",
        "evolution.search": search,
        "evolution.population": 100,
        "evolution.sample": 10,
        "evolution.total_models": 4000,
        "steps_per_call": 200,
        "log_every_steps": 200,
        **more,
    }


def get_config(variant: str = "") -> ConfigDict:
    config = common.base()
    config.arms.aging = {"evolution.search": "aging"}
    config.arms.random = {"evolution.search": "random"}
    for search in ("aging", "non_aging", "random"):
        config.arms[f"bits_{search}"] = bits(search)
    for search in ("aging", "non_aging"):
        quiet = {"bits.noise": 0.01, "evolution.total_models": 1000}
        config.arms[f"bits_quiet_{search}"] = bits(search, **quiet)
    config.seeds = (0, 1, 2)
    config.task = "cells"  # "bits", "folder", "layers", "network": see the script
    config.evolution = ConfigDict(
        {
            "search": "aging",  # "non_aging", "random"
            "population": 16,  # P
            "sample": 6,  # S
            "total_models": 160,
            "workers": 8,  # children that are trained side by side
            "folder": "",  # that workers share; "" for one within the run's own
        }
    )
    config.bits = ConfigDict({"size": 100, "noise": 0.05, "repeats": 10})
    config.cells = ConfigDict(
        {
            "combinations": 2,  # K; 5 in the paper
            "identity_share": 0.05,
            "reductions": 1,
            "shrink": 2,  # of images, before the first cell of "cells"
        }
    )
    config.layers = ConfigDict({"first_rate": 0.1})
    config.child = ConfigDict(
        {
            "architecture": "amoeba_net_a",  # of "network"
            "normal_cells": 1,  # N
            "features": 8,  # F
            "train_steps": 30,
            "batch_size": 32,
            "learning_rate": 0.2,
            "momentum": 0.9,
            "weight_decay": 1e-4,
        }
    )
    # The best by validation, trained again; of "layers" it goes on from its own weights.
    config.final = ConfigDict(
        {
            "normal_cells": 1,
            "features": 16,
            "train_steps": 300,
            "batch_size": 32,
            "learning_rate": 0.1,
            "momentum": 0.9,
            "weight_decay": 1e-4,
        }
    )
    config.data.update(
        {
            "name": "digits",  # or a name for data.load
            "train_split": "train[:1137]",
            "valid_split": "train[1137:]",
            "test_split": "test",
            "num_train": 1137,
            "num_valid": 300,
            "num_classes": 10,
            "image_size": 8,
            "channels": 1,
            "augmentation": "none",
            "statistics_images": 1137,
            "scale": 16.0,  # digits are in 0..16, where others are in 0..255
        }
    )
    config.test_batch_size = 360
    config.required = ConfigDict({"ten_best": 0.5, "last": 2.0})  # margins of the claims, points
    config.steps_per_call = 20
    config.log_every_steps = 40  # as long as a generation lives
    return common.choose(config, VARIANTS, variant)


def smoke(config: ConfigDict) -> None:
    """Seconds; what the tests run."""
    config.check_claims = False
    config.seeds = (0,)
    common.keep_arms(config, "aging", "bits_aging")
    few = {"evolution.total_models": 40, "evolution.population": 10, "evolution.sample": 3}
    config.arms.bits_aging = bits("aging", steps_per_call=10, log_every_steps=10, **few)
    config.evolution.update({"population": 4, "sample": 2, "total_models": 16, "workers": 4})
    config.cells.reductions = 0  # one cell: a compilation is short
    config.child.update({"train_steps": 3, "batch_size": 16, "features": 4})
    config.final.update({"train_steps": 8, "batch_size": 16, "features": 4})
    config.bits.update({"repeats": 2, "size": 20})
    config.data.update(
        {
            "train_split": "train[:128]",
            "num_train": 128,
            "valid_split": "train[128:160]",
            "num_valid": 32,
            "statistics_images": 128,
        }
    )
    config.steps_per_call = 5
    config.log_every_steps = 5
    config.checkpoint_every_steps = 5


def mnist(config: ConfigDict) -> None:
    """Cells on 10,000 images of MNIST, 160 children by evolution and 160 at random."""
    common.keep_arms(config, "aging", "random")
    config.seeds = (0,)
    config.data.update(
        {
            "name": "mnist",
            "train_split": "train[:10000]",
            "valid_split": "train[-2000:]",
            "num_train": 10_000,
            "num_valid": 2_000,
            "image_size": 28,
            "statistics_images": 10_000,
            "scale": 1.0,
        }
    )
    config.cells.shrink = 7
    config.evolution.total_models = 160
    config.test_batch_size = 1000


def cifar10(config: ConfigDict) -> None:
    """Cells on CIFAR-10, at a quarter of its size in each direction; not run."""
    common.keep_arms(config, "aging", "random")
    config.seeds = (0,)
    on_cifar10(config)
    config.cells.update({"shrink": 4, "combinations": 5})
    config.child.update({"features": 24, "train_steps": 1_000, "batch_size": 128})
    config.final.update({"features": 48, "train_steps": 20_000, "batch_size": 128})


def paper(config: ConfigDict) -> None:
    """2018: 20,000 models of CIFAR-10 by workers, P = 100, S = 25; N = 3, F = 24, 25 epochs."""
    workers(config)
    config.evolution.update({"population": 100, "sample": 25, "total_models": 20_000})
    config.child.update({"normal_cells": 3, "features": 24})
    config.final.update({"normal_cells": 6, "features": 36})


def workers(config: ConfigDict) -> None:
    """As `:paper` with 200 models, 25 of them alive: a first try of several workers."""
    common.single(config)
    config.seeds = (0,)
    config.task = "folder"
    on_cifar10(config)
    config.cells.update({"combinations": 5, "reductions": 2})
    config.evolution.update({"population": 25, "sample": 8, "total_models": 200})
    epoch = 45_000 // 128
    config.child.update({"normal_cells": 1, "features": 16, "train_steps": 25 * epoch})
    config.final.update({"normal_cells": 3, "features": 24, "train_steps": 600 * epoch})
    for sizes in (config.child, config.final):  # appendix: SGD, cosine from 0.024, 5e-4
        sizes.update({"batch_size": 128, "learning_rate": 0.024, "weight_decay": 5e-4})


def large_scale(config: ConfigDict) -> None:
    """2017: networks of layers on CIFAR-10, 1,000 alive, 25,600 steps of 50 images for each."""
    common.single(config)
    config.seeds = (0,)
    config.task = "layers"
    on_cifar10(config)
    config.evolution.update({"population": 1000, "sample": 2, "total_models": 10_000})
    config.child.update({"train_steps": 25_600, "batch_size": 50})


def amoeba_net_a(config: ConfigDict) -> None:
    """AmoebaNet-A of the paper's table 1: N = 6, F = 36, 600 epochs of CIFAR-10."""
    paper(config)
    config.task = "network"
    config.child.update(config.final)
    config.published_as = "amoeba_net_a36"


def amoeba_net_b(config: ConfigDict) -> None:
    """AmoebaNet-B of the paper's table 1: N = 6, F = 36, 600 epochs of CIFAR-10."""
    amoeba_net_a(config)
    config.child.architecture = "amoeba_net_b"
    config.published_as = "amoeba_net_b36"


def folder_smoke(config: ConfigDict) -> None:
    """Seconds: three children by one worker on digits, each a program of its own."""
    smoke(config)
    common.single(config)
    config.task = "folder"
    config.evolution.update({"population": 2, "sample": 2, "total_models": 3})


def on_cifar10(config: ConfigDict) -> None:
    config.data.update(
        {
            "name": "cifar10",
            "train_split": "train[:45000]",
            "valid_split": "train[45000:]",
            "num_train": 45_000,
            "num_valid": 5_000,
            "image_size": 32,
            "channels": 3,
            "augmentation": "pad_crop",
            "statistics_images": 45_000,
            "scale": 1.0,
        }
    )
    config.test_batch_size = 1000
    config.steps_per_call = 1
    config.log_every_steps = 100
    config.checkpoint_every_steps = 1_000


VARIANTS = {
    "smoke": smoke,
    "folder_smoke": folder_smoke,
    "mnist": mnist,
    "cifar10": cifar10,
    "workers": workers,
    "large_scale": large_scale,
    "amoeba_net_a": amoeba_net_a,
    "amoeba_net_b": amoeba_net_b,
    "paper": paper,
}
