"""`:paper` against the paper, and the optimizers of both phases against their formulas."""

import numpy as np
import pytest

from configs.gpt1 import get_config
from experiments import gpt1
from research import app
from tests.optimizers import some_gradients, updates_of
from tests.rl.paper_table import check
from tests.rl.reference import Adam

# Section 4.1. How many updates 100 epochs of BooksCorpus are is not published.
TABLE = {
    "model.vocab_size": 40_478,
    "model.layers": 12,
    "model.dim": 768,
    "model.num_heads": 12,
    "model.head_dim": 64,
    "model.hidden": 3072,
    "model.max_length": 512,
    "model.dropout": 0.1,
    "model.attention_dropout": 0.1,
    "model.pre_norm": False,
    "model.init_std": 0.02,
    "model.position_std": 0.02,
    "pretraining.rows": 64,
    "pretraining.learning_rate": 2.5e-4,
    "pretraining.warmup_steps": 2000,
    "pretraining.weight_decay": 0.01,
    "finetuning.rows": 32,
    "finetuning.learning_rate": 6.25e-5,
    "finetuning.warmup_share": 0.002,
    "finetuning.language_weight": 0.5,
    "finetuning.num_steps": 3 * 67_349 // 32 + 1,  # three epochs of SST-2
    "data.length": 512,
    "max_grad_norm": 1.0,  # of the released code, in fine-tuning
}


def test_settings():
    check(get_config("paper"), TABLE)


@pytest.mark.parametrize("phase", ["pretraining", "finetuning"])
def test_the_optimizer_is_adam_whose_rate_rises_and_falls(phase):
    """Kernels decay by 0.01, biases do not; the rate falls as a cosine, or linearly."""
    config = get_config("smoke")
    config[phase].update(num_steps=10, learning_rate=0.02, weight_decay=0.01)
    config.pretraining.warmup_steps, config.finetuning.warmup_share = 4, 0.4
    experiment = app.build(gpt1, config)
    if phase == "pretraining":
        experiment = gpt1.pretraining(config, experiment.corpus)
        # Rises by step, counted from 1, and reaches 0 with the last of ten.
        falls = [0.5 * (1 + np.cos(np.pi * (t - 4) / 6)) for t in range(5, 11)]
    else:
        falls = [1, *((10 - t) / 6 for t in range(5, 10))]
    rates = 0.02 * np.array([0.25, 0.5, 0.75, 1, *falls])
    params = {"kernel": np.full(5, 3.0), "bias": np.full(5, 3.0)}
    gradients = some_gradients(params, 10)
    found = updates_of(experiment.learner.tx, params, gradients)
    adam = Adam(1.0, eps=1e-8)
    zeros = {name: np.zeros(5) for name in params}
    for rate, updates, gradient in zip(rates, found, gradients, strict=True):
        expected = adam(zeros, gradient)
        np.testing.assert_allclose(updates["bias"], rate * expected["bias"], rtol=1e-4, atol=1e-8)
        decayed = rate * (expected["kernel"] - 0.01 * params["kernel"])
        np.testing.assert_allclose(updates["kernel"], decayed, rtol=1e-4, atol=1e-8)
        params["kernel"] = params["kernel"] + updates["kernel"]
