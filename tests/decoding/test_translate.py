"""Translating a corpus: every sentence gets its own output, in order, whatever its batch."""

import jax
import jax.numpy as jnp
import numpy as np

from research.data.text.pairs import EOS
from research.decoding.translate import translate
from research.models.transformer import Transformer


def test_order_batches_and_lengths():
    model = Transformer(12, layers=1, dim=8, num_heads=2, head_dim=4, hidden=8, dropout=0.0)
    rng = np.random.default_rng(0)
    sources = [np.array([*rng.integers(3, 12, n), EOS], np.int32) for n in (2, 5, 1, 5, 3, 4)]
    tokens = jnp.zeros((1, 4), jnp.int32)
    params = model.init(jax.random.key(0), tokens, tokens, train=False)["params"]
    setting = {"beam": 2, "alpha": 0.6, "extra_length": 3}
    together = translate(model, params, sources, [6], **setting, tokens_per_batch=24)
    assert len(together) == len(sources)
    for source, output in zip(sources, together, strict=True):
        (alone,) = translate(model, params, [source], [6], **setting, tokens_per_batch=24)
        assert np.array_equal(output, alone)
        assert 1 <= len(output) <= len(source) + 3  # not of the padded source
        assert EOS not in output[:-1]
