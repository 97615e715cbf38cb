"""Regularized Evolution (Real et al., 2018), Large-Scale Evolution (Real et al., 2017).

    python experiments/evolution_nas.py
    python experiments/evolution_nas.py --config configs/evolution_nas.py:mnist --config.data.dir=DIR

The default checks the toy of bit strings (ten searches of 4,000 models for each arm and seed), and
searches cells on scikit-learn's digits, 320 children each by evolution and at random, nothing
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

TRIED: dict[str, str] = {}


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
    config.arms.cells_aging = {"evolution.search": "aging"}
    config.arms.cells_random = {"evolution.search": "random"}
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
            "population": 32,  # P
            "sample": 8,  # S
            "total_models": 320,
            "workers": 16,  # children that are trained side by side
            "folder": "",  # that workers share; "" for one within the run's own
        }
    )
    config.bits = ConfigDict({"size": 100, "noise": 0.05, "repeats": 10})
    config.cells = ConfigDict(
        {
            "combinations": 3,  # K; 5 in the paper
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
            "train_steps": 60,
            "batch_size": 32,
            "learning_rate": 0.1,
            "momentum": 0.9,
            "weight_decay": 1e-4,
        }
    )
    config.final = ConfigDict(
        {
            "normal_cells": 1,
            "features": 16,
            "train_steps": 600,
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
    config.steps_per_call = 35
    config.log_every_steps = 70  # as long as a generation lives
    return common.choose(config, VARIANTS, variant)


def smoke(config: ConfigDict) -> None:
    """Seconds; what the tests run."""
    config.check_claims = False
    config.seeds = (0,)
    common.keep_arms(config, "cells_aging", "bits_aging")
    few = {"evolution.total_models": 40, "evolution.population": 10, "evolution.sample": 3}
    config.arms.bits_aging = bits("aging", steps_per_call=10, log_every_steps=10, **few)
    config.evolution.update({"population": 4, "sample": 2, "total_models": 16, "workers": 4})
    config.cells.update({"combinations": 2, "reductions": 0})  # one cell: a compilation is short
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


VARIANTS = {"smoke": smoke}
