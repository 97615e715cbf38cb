"""What the paper says of its networks, against `:paper` and its sisters."""

import pytest

from configs.handwriting import get_config
from tests.rl.paper_table import check

COMMON = {
    "model.components": 20,
    "model.lstm_clip": 10.0,
    "model.output_clip": 100.0,
    "model.std_floor": 0.0,
    "optimizer.name": "graves",
    "optimizer.learning_rate": 1e-4,
    "optimizer.cosine": False,
    "weight_noise.std": 0.075,
    "data.train_lines": 5364,
}
SIZES = {
    "paper": {"model.layers": 3, "model.units": 400, "model.bumps": 10, "data.num_symbols": 57},
    "paper_weight_noise": {"model.layers": 3, "model.units": 400, "weight_noise.num_steps": 50_000},
    "prediction": {"model.layers": 3, "model.units": 400, "model.bumps": 0},
    "prediction_wide": {"model.layers": 1, "model.units": 900, "model.bumps": 0},
}


@pytest.mark.parametrize("variant", SIZES)
def test_settings_are_the_papers(variant):
    check(get_config(variant), {**COMMON, **SIZES[variant]})


def test_counts_are_those_of_the_layers():
    from experiments.handwriting import PAPER

    def network(layers, units, window=0, symbols=0):
        count = 0
        for layer in range(layers):
            inputs = 3 + symbols + (units if layer else 0)
            count += 4 * units * (inputs + units + 1) + 3 * units  # with peepholes
        count += 3 * window * (units + 1) if window else 0
        return count + (1 + 6 * 20) * (layers * units + 1)

    assert PAPER.parameters == {
        "prediction3x400": network(3, 400),
        "prediction1x900": network(1, 900),
        "synthesis3x400": network(3, 400, 10, 57),
    }
