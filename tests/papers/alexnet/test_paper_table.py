"""The paper's variants against both papers, and an update against the formula of section 5."""

import numpy as np
import pytest

from configs.alexnet import get_config
from experiments import alexnet
from research import app
from tests.optimizers import some_gradients, updates_of
from tests.rl.paper_table import check

# Krizhevsky et al. (2012), sections 3 to 5. Biases at twice the rate: the author's configurations.
TABLE = {
    "model.activation": "relu",
    "model.norm.size": 5,
    "model.norm.k": 2.0,
    "model.norm.alpha": 1e-4,
    "model.norm.beta": 0.75,
    "model.norm.divide_alpha": False,  # the formula as printed
    "model.pool_window": 3,
    "model.input_scale": 127.5,  # pixels of 0 to 255, less their mean
    "model.dropout": 0.5,
    "model.input_dropout": 0.0,
    "batch_size": 128,
    "accumulate_steps": 1,
    "num_epochs": 90.0,
    "max_grad_norm": 0.0,
    "optimizer.rule": "alexnet",
    "optimizer.momentum": 0.9,
    "optimizer.weight_decay": 5e-4,
    "optimizer.bias_rate": 2.0,
    "schedule.learning_rate": 0.01,
    "schedule.max_plateaus": 3,
    "schedule.lower_at_steps": (),
    "schedule.warmup_steps": 0,
    "schedule.warmup_until_error": 0.0,
    "data.name": "imagenet2012",
    "data.num_train": 1_281_167,
    "data.num_classes": 1000,
    "data.image_size": 224,
    "data.augmentation": "square_crop",
    "test.short_sides": (256,),
    "test.crops": "ten",
}
# Hinton et al. (2012), appendix A: 784-800-800-10 on MNIST.
DROPOUT = {
    "model.variant": "mlp",
    "model.dropout": 0.5,
    "model.input_dropout": 0.2,
    "batch_size": 100,
    "num_epochs": 3000.0,
    "optimizer.rule": "dropout",
    "optimizer.rate_decay": 0.998,
    "optimizer.rising.start": 0.5,
    "optimizer.rising.end": 0.99,
    "optimizer.rising.epochs": 500,
    "optimizer.max_squared_norm": 15.0,
    "schedule.learning_rate": 10.0,
    "data.name": "mnist",
    "data.num_train": 60_000,
    "data.image_size": 28,
    "data.augmentation": "none",
}


@pytest.mark.parametrize(
    ("variant", "network"), [("paper", "2012"), ("paper_one_tower", "2012_one_tower")]
)
def test_settings(variant, network):
    config = get_config(variant)
    check(config, {**TABLE, "model.variant": network})
    assert config.schedule.plateau_steps > 0  # the authors looked when the error had stalled


def test_settings_of_dropout():
    check(get_config("paper_dropout"), DROPOUT)


def test_an_update_is_that_of_section_5():
    """v <- 0.9 v - 0.0005 rate w - rate g; biases at twice the rate, without decay."""
    experiment = app.build(alexnet, get_config("paper"))
    params = {"kernel": np.full(5, 3.0), "bias": np.full(5, 3.0)}
    gradients = some_gradients(params, 4)
    velocity = {name: np.zeros(5) for name in params}
    for updates, gradient in zip(
        updates_of(experiment.learner.tx, params, gradients), gradients, strict=True
    ):
        for name, rate, decay in (("kernel", 0.01, 5e-4), ("bias", 0.02, 0.0)):
            pull = decay * rate * params[name] + rate * gradient[name]
            velocity[name] = 0.9 * velocity[name] - pull
            params[name] = params[name] + velocity[name]
            np.testing.assert_allclose(updates[name], velocity[name], rtol=1e-4, atol=1e-7)
