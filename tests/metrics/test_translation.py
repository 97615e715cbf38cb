"""Sums over a corpus, and BLEU by length."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from research.metrics.bleu import bleu
from research.metrics.translation import bleu_by_length, row_nats, token_loss, write_translations


def test_loss_is_per_token_of_all_pairs():
    rng = np.random.default_rng(0)
    pairs = [(np.full(n, 4), rng.integers(3, 7, n)) for n in (2, 5, 3, 9)]
    table = jnp.asarray(rng.normal(size=(7, 7)), jnp.float32)

    @jax.jit
    def function(table, batch):
        return row_nats(table[batch["target"]], batch["target"])

    log_probs = np.asarray(jax.nn.log_softmax(table))
    expected = [-log_probs[t, t] for _, target in pairs for t in target]
    assert token_loss(function, table, pairs, [4], 12) == pytest.approx(np.mean(expected), rel=1e-5)


def test_bleu_of_each_range_is_that_of_its_sentences():
    references = ["a b c d e", "a b c d e f", "k l m n o p q", "r s t u v w x y"]
    hypotheses = ["a b c d e", "a b c d x f", "k l m n o p z", "never"]
    found = bleu_by_length(hypotheses, references, [3, 5, 6, 99], [5, 7, 10], "none")
    assert set(found) == {5, 7}
    assert found[5] == bleu(hypotheses[:2], references[:2], "none").score
    assert found[7] == bleu(hypotheses[2:3], references[2:3], "none").score


def test_translations_are_a_table(tmp_path):
    path = tmp_path / "t.tsv"
    write_translations(path, "title", {"source": ["x", "y"], "ours": ["z", "w"]})
    assert path.read_text().splitlines() == ["# title", "source\tours", "x\tz", "y\tw"]
