"""`:paper`, `:big` and `:big_fr` against the paper, and the optimizer against its formula."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from configs.transformer import get_config
from experiments import transformer
from research import app
from tests.optimizers import some_gradients, updates_of
from tests.rl.paper_table import check
from tests.rl.reference import Adam

# Section 3, table 3 (base); sections 5.1 to 5.4; section 6.1 (averages, beam).
BASE = {
    "model.layers": 6,
    "model.dim": 512,
    "model.num_heads": 8,
    "model.head_dim": 64,
    "model.hidden": 2048,
    "model.dropout": 0.1,
    "model.pre_norm": False,
    "model.positions": "sinusoid",
    "num_steps": 100_000,
    "warmup_steps": 4000,
    "learning_rate_factor": 1.0,
    "label_smoothing": 0.1,
    "accumulate_steps": 1,
    "max_grad_norm": 0.0,  # none is named
    "average.checkpoints": 5,
    "average.every_steps": 1500,  # ten minutes, at 0.4 seconds a step
    "beam.beam": 4,
    "beam.alpha": 0.6,
    "beam.extra_length": 50,
    "data.name": "wmt14_translate/de-en",
    "data.source": "en",
    "data.target": "de",
    "data.vocab_size": 37_000,
    "data.tokens_per_batch": 25_000,
}
BIG = {
    **BASE,
    "model.dim": 1024,
    "model.num_heads": 16,
    "model.hidden": 4096,
    "model.dropout": 0.3,
    "num_steps": 300_000,
    "average.checkpoints": 20,
    "average.every_steps": 600,  # at 1.0 seconds
}
FRENCH = {
    **BIG,
    "model.dropout": 0.1,
    "data.name": "wmt14_translate/fr-en",
    "data.target": "fr",
    "data.vocab_size": 32_000,
}


@pytest.mark.parametrize(("variant", "table"), [("paper", BASE), ("big", BIG), ("big_fr", FRENCH)])
def test_settings(variant, table):
    check(get_config(variant), table)


def test_the_optimizer_is_adam_at_the_rate_of_equation_3():
    experiment = app.build(transformer, get_config("paper"))
    params = {"kernel": np.ones(5)}
    gradients = some_gradients(params, 4)
    found = updates_of(experiment.learner.tx, params, gradients)
    adam = Adam(0.0, eps=1e-9, b1=0.9, b2=0.98)
    for step, (updates, gradient) in enumerate(zip(found, gradients, strict=True), start=1):
        adam.rate = 512**-0.5 * min(step**-0.5, step * 4000**-1.5)
        expected = adam({"kernel": np.zeros(5)}, gradient)["kernel"]
        np.testing.assert_allclose(updates["kernel"], expected, rtol=1e-4)


def test_the_loss_is_smoothed_and_counts_tokens():
    """Section 5.4: 0.1 of a label lies on all words alike; the mean is over tokens, no padding."""
    config = get_config("smoke")
    config.model.update(layers=1, dropout=0.0)
    experiment = app.build(transformer, config)
    rng = np.random.default_rng(0)
    source, target = rng.integers(3, 400, (2, 3, 8)).astype(np.int32)
    target[0, 5:] = target[2, 2:] = 0
    tokens = jnp.asarray(source)
    variables = jax.jit(lambda key: experiment.model.init(key, tokens, tokens, train=False))(
        jax.random.key(0)
    )
    batch = {"source": source, "target": target}
    loss, aux = jax.jit(experiment.loss)(variables, batch, jax.random.key(1))
    apply = jax.jit(lambda v: experiment.model.apply(v, source, target, train=False)[0])
    logits = apply(variables)
    labels = 0.9 * np.eye(400)[target] + 0.1 / 400
    nats = optax.softmax_cross_entropy(np.asarray(logits), labels)
    np.testing.assert_allclose(loss, np.asarray(nats)[target != 0].mean(), rtol=1e-5)
    assert int(aux.weight) == (target != 0).sum() == 15
