"""The released code's options and its text, against `:paper` and `:char_rnn`."""

import pytest

from configs.char_rnn import get_config
from tests.rl.paper_table import check

# Options of train.lua, and of the 3 x 512 network with dropout.
COMMON = {
    "optimizer.learning_rate": 2e-3,
    "optimizer.rms_decay": 0.95,
    "optimizer.clip": 5.0,
    "optimizer.rate_decay": 0.97,
    "optimizer.decay_after_epochs": 10,
    "model.cell": "lstm",
    "model.forget_bias": 1.0,
    "model.init_scale": 0.08,
    "model.vocab_size": 65,
    "num_epochs": 50,
    "data.name": "tiny_shakespeare",
}
SIZES = {
    "paper": {
        "model.layers": 3,
        "model.units": 512,
        "model.dropout": 0.5,
        "data.rows": 100,
        "data.length": 100,
    },
    "char_rnn": {
        "model.layers": 2,
        "model.units": 128,
        "model.dropout": 0.0,
        "data.rows": 50,
        "data.length": 50,
    },
}


@pytest.mark.parametrize("variant", SIZES)
def test_settings_are_the_papers(variant):
    check(get_config(variant), {**COMMON, **SIZES[variant]})


def test_counts_are_those_of_the_layers():
    def lstm(layers, units, characters=65):
        inputs = [characters] + [units] * (layers - 1)
        recurrent = sum(4 * units * (n + units) + 8 * units for n in inputs)
        return recurrent + characters * (units + 1)

    from experiments.char_rnn import PAPER

    assert PAPER.parameters == {"lstm2x128": lstm(2, 128), "lstm3x512": lstm(3, 512)}
    assert (lstm(2, 128), lstm(3, 512)) == (240_321, 5_421_633)


def test_five_thousand_updates_of_ten_thousand_characters():
    data = get_config("paper").data
    assert (data.train_characters - 1) // (data.rows * data.length) * 50 == 5000
    assert data.rows * data.length == 10_000
