"""GPT-3's sizes and GPT-2's start against the papers, and the optimizer against its formula."""

import numpy as np
import pytest

from configs.gpt import get_config
from experiments import gpt
from research import app
from tests.optimizers import some_gradients, updates_of
from tests.rl.paper_table import check
from tests.rl.reference import Adam

# Brown et al. (2020), table 2.1 and appendix B; of GPT-2, section 2.3.
GPT3 = {
    "model.vocab_size": 50_257,
    "model.max_length": 2048,
    "model.pre_norm": True,
    "model.scale_residual": True,
    "model.init_std": 0.02,
    "model.position_std": 0.01,
    "model.dropout": 0.0,
    "model.attention_dropout": 0.0,
    "optimizer.b1": 0.9,
    "optimizer.b2": 0.95,
    "optimizer.eps": 1e-8,
    "optimizer.weight_decay": 0.1,
    "optimizer.warmup_tokens": 375_000_000,
    "optimizer.decay_tokens": 260_000_000_000,
    "optimizer.end_factor": 0.1,
    "max_grad_norm": 1.0,
    "data.length": 2048,
    "batch.total_tokens": 300_000_000_000,
    "batch.first_rows": 16,  # 32k tokens
}
SIZES = {  # layers, width, heads, learning rate; XL's and 13B's rows contradict themselves
    "gpt3_small": (12, 768, 12, 6.0e-4),
    "gpt3_medium": (24, 1024, 16, 3.0e-4),
    "gpt3_large": (24, 1536, 16, 2.5e-4),
    "gpt3_xl": (24, 2048, 16, 2.0e-4),
    "gpt3_2.7b": (32, 2560, 32, 1.6e-4),
    "gpt3_6.7b": (32, 4096, 32, 1.2e-4),
    "gpt3_13b": (40, 5120, 40, 1.0e-4),
    "gpt3_175b": (96, 12_288, 96, 0.6e-4),
    "paper": (96, 12_288, 96, 0.6e-4),
}


@pytest.mark.parametrize("variant", SIZES)
def test_settings(variant):
    config = get_config(variant)
    layers, width, heads, rate = SIZES[variant]
    check(
        config,
        {
            **GPT3,
            "model.layers": layers,
            "model.dim": width,
            "model.num_heads": heads,
            "model.head_dim": width // heads,
            "model.hidden": 4 * width,
            "optimizer.learning_rate": rate,
        },
    )
    assert config.model.window > 0  # every second layer is banded; how wide is not published
    # "Over the first 4-12 billion tokens", depending on the size.
    assert 4e9 <= config.batch.ramp_tokens <= 12e9


def test_gpt2_has_no_bands_and_rows_of_1024_in_batches_of_512():
    check(
        get_config("gpt2_xl"),
        {
            "model.layers": 48,
            "model.dim": 1600,
            "model.num_heads": 25,
            "model.max_length": 1024,
            "model.window": 0,
            "model.pre_norm": True,
            "model.scale_residual": True,
            "batch.rows": 512,
            "data.length": 1024,
        },
    )


def test_gpt1_is_that_of_its_script():
    """Radford et al. (2018), section 4.1; the number of tokens is not published."""
    check(
        get_config("gpt1"),
        {
            "model.pre_norm": False,
            "model.dropout": 0.1,
            "model.attention_dropout": 0.1,
            "model.window": 0,
            "model.position_std": 0.02,
            "optimizer.learning_rate": 2.5e-4,
            "optimizer.warmup_tokens": 2000 * 64 * 512,
            "optimizer.end_factor": 0.0,
            "optimizer.b2": 0.999,
            "optimizer.weight_decay": 0.01,
            "max_grad_norm": 0.0,
            "batch.rows": 64,
            "data.length": 512,
        },
    )


def test_the_optimizer_is_adam_with_decoupled_decay_of_kernels():
    """Its rate is that of the tokens seen: 32k more after each of the first updates."""
    experiment = app.build(gpt, get_config("gpt3_small"))
    params = {"kernel": np.full(5, 2.0), "bias": np.full(5, 2.0)}
    gradients = some_gradients(params, 3)
    found = updates_of(experiment.learner.tx, params, gradients)
    adam = Adam(1.0, eps=1e-8, b1=0.9, b2=0.95)
    zeros = {name: np.zeros(5) for name in params}
    for t, (updates, gradient) in enumerate(zip(found, gradients, strict=True)):
        rate = 6e-4 * (t + 1) * 16 * 2048 / 375e6
        expected = adam(zeros, gradient)
        np.testing.assert_allclose(updates["bias"], rate * expected["bias"], rtol=1e-4)
        decayed = rate * (expected["kernel"] - 0.1 * params["kernel"])
        np.testing.assert_allclose(updates["kernel"], decayed, rtol=1e-4)
        params["kernel"] = params["kernel"] + updates["kernel"]
