"""Explaining and harnessing adversarial examples (Goodfellow, Shlens, Szegedy, 2014)."""

from typing import Any

from ml_collections import ConfigDict

from configs import common
from research.schema import non_negative, positive, share

ALLOWED = {
    "eval.sweep": positive,
    "train.alpha": share,
    "*.epsilon": non_negative,
    "input_dropout_scale": non_negative,
    "blocks": positive,
    "max_squared_norm": non_negative,
    "model.widths": positive,
}

LINEAR: dict[str, Any] = {
    "model.widths": (),
    "model.units": "relu",
    "model.dropout": 0.0,
    "model.input_dropout": 0.0,
    "sources": 0,
}


def get_config(variant: str = "") -> ConfigDict:
    config = common.base()
    config.arms.logistic = {
        **LINEAR,
        "data.classes": (3, 7),
        "data.num_classes": 2,
        "data.num_train": 289,
    }
    config.arms.softmax = LINEAR
    config.arms.radial = {**LINEAR, "model.kind": "radial"}
    config.arms.standard = {"sources": 4}
    config.arms.fgsm_trained = {"train.perturbation": "fgsm"}
    config.arms.pgd_trained = {"train.perturbation": "pgd", "train.alpha": 0.0, "train.clip": True}
    config.arms.sign_trained = {"train.perturbation": "random_sign"}
    config.arms.uniform_trained = {"train.perturbation": "uniform"}
    config.arms.hidden_trained = {"train.perturbation": "hidden_fgsm"}
    config.seeds = (0, 1, 2)
    config.batch_size = 100
    config.num_epochs = 60
    config.sources = 1  # networks that attacks are transferred from
    config.log_every_steps = 28
    config.model = ConfigDict(
        {
            "kind": "dense",
            "widths": (80, 80),
            "units": "maxout",
            "pieces": 5,
            "dropout": 0.5,  # of what hidden layers give
            "input_dropout": 0.2,
            "input_dropout_scale": 0.0,  # of the inputs that are kept; 0: 1 / (1 - rate)
            "uniform_init": 0.0,
            "blocks": 5,
        }
    )
    config.optimizer = ConfigDict(
        {
            "name": "adam",
            "learning_rate": 1e-3,
            "drops_at": (),
            "drop_factor": 10.0,
            "max_squared_norm": 0.0,
            "momentum": 0.9,
            "momentum_epochs": 250,
            "weight_decay": 0.0,
        }
    )
    config.train = ConfigDict(
        {
            "perturbation": "none",
            "alpha": 0.5,
            "epsilon": 0.25,
            "clip": False,
            "step_size": 0.0625,
            "attack_steps": 7,
        }
    )
    config.eval = ConfigDict(
        {
            "epsilon": 0.25,
            "step_size": 0.025,
            "attack_steps": 20,
            "restarts": 3,
            "batch_size": 360,
            "rubbish_images": 1000,
            "sweep": 1.0,
            "sweep_images": 200,
        }
    )
    config.data.update(
        {
            "name": "digits",
            "classes": (),
            "train_split": "train",
            "held_out_split": "",
            "test_split": "test",
            "num_train": 1437,
            "num_classes": 10,
            "image_size": 8,
            "channels": 1,
            "scale": 127.5 / 16,
            "augmentation": "none",
        }
    )
    return common.choose(config, VARIANTS, variant)


VARIANTS: dict[str, common.Variant] = {}
