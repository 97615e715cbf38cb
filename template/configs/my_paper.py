"""The heavy ball (Polyak, 1964): the template of a configuration.

    python template/experiments/my_paper.py
    python template/experiments/my_paper.py --config template/configs/my_paper.py:smoke

The default compares two arms on scikit-learn's digits, in a minute on two cores, with nothing
downloaded. Say here what the paper reports, what hardware a variant is for, and how long it takes.
"""

from ml_collections import ConfigDict

from configs import common


def get_config(variant: str = "") -> ConfigDict:
    config = common.base()
    # What is compared. Each arm has the best of the rates 0.08, 0.12, 0.16, 0.2, 0.25 for it, on
    # seeds that are not reported: from 0.18 on gradient descent diverges. A key that arms set
    # cannot be overridden on the command line.
    config.arms.gradient_descent = {
        "optimizer.momentum": 0.0,
        "optimizer.learning_rate": 0.16,
    }
    config.arms.heavy_ball = {"optimizer.momentum": 0.9, "optimizer.learning_rate": 0.25}
    config.seeds = (0, 1, 2)
    config.num_steps = 300
    config.batch_size = 1437  # the whole training set: the method is about deterministic gradients
    config.optimizer = ConfigDict({"learning_rate": 0.25, "momentum": 0.9})
    config.data.update({"name": "digits", "image_size": 8, "num_classes": 10})
    config.published_as = "digits"
    return common.choose(config, VARIANTS, variant)


def smoke(config: ConfigDict) -> None:
    """Seconds; what the tests run."""
    config.check_claims = False
    config.seeds = (0,)
    config.num_steps, config.log_every_steps = 8, 2
    config.checkpoint_every_steps = 4
    config.batch_size = 32


def paper(config: ConfigDict) -> None:
    """The paper's sizes and schedule (Polyak has none; yours will)."""
    common.single(config)
    config.num_steps = 10_000


VARIANTS = {"smoke": smoke, "paper": paper}
