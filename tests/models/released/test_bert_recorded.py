"""A released BERT: equal to what transformers makes of the same weights."""

import json
from pathlib import Path

import numpy as np

from research.models.bert import BERT, BERTPretraining
from research.models.released.bert_names import released_params
from tests.models.released.drawn import drawn

RECORDED = json.loads(Path(__file__).with_name("recorded.json").read_text("utf-8"))["bert"]
SIZES = dict(layers=2, dim=16, num_heads=2, head_dim=8, hidden=64, vocab_size=19, max_length=12)


def test_both_heads_are_those_of_transformers():
    params = released_params(BERT(**SIZES), drawn(RECORDED["shapes"]))
    inputs = {name: np.array(x, np.int32) for name, x in RECORDED["inputs"].items()}
    tokens = inputs["input_ids"]
    everywhere = np.broadcast_to(np.arange(tokens.shape[1]), tokens.shape)
    (words, follows), _ = BERTPretraining(SIZES).apply(
        {"params": params},
        tokens,
        inputs["token_type_ids"],
        inputs["lengths"],
        everywhere,
        train=False,
    )
    np.testing.assert_allclose(follows, RECORDED["outputs"]["follows"], atol=1e-4)
    expected = np.array(RECORDED["outputs"]["words"])
    for row, length in enumerate(inputs["lengths"]):
        np.testing.assert_allclose(words[row, :length], expected[row, :length], atol=1e-4)
