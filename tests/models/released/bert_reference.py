"""BERT in plain NumPy, from weights under the names of `transformers`."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from scipy.special import erf, softmax

Weights = Mapping[str, np.ndarray]


def some_weights(
    vocab_size: int = 11, dim: int = 8, hidden: int = 12, layers: int = 2, length: int = 10
) -> dict[str, np.ndarray]:
    """Random weights of a small network, large enough for every one of them to matter."""
    rng = np.random.default_rng(0)
    shapes: dict[str, tuple[int, ...]] = {
        "embeddings.word_embeddings.weight": (vocab_size, dim),
        "embeddings.position_embeddings.weight": (length, dim),
        "embeddings.token_type_embeddings.weight": (2, dim),
        "cls.predictions.bias": (vocab_size,),
    }

    def dense(name: str, inner: int, outer: int) -> None:
        shapes[f"{name}.weight"], shapes[f"{name}.bias"] = (outer, inner), (outer,)

    def norm(name: str) -> None:
        shapes[f"{name}.weight"] = shapes[f"{name}.bias"] = (dim,)

    norm("embeddings.LayerNorm")
    for i in range(layers):
        layer = f"encoder.layer.{i}"
        for part in ("self.query", "self.key", "self.value", "output.dense"):
            dense(f"{layer}.attention.{part}", dim, dim)
        norm(f"{layer}.attention.output.LayerNorm")
        dense(f"{layer}.intermediate.dense", dim, hidden)
        dense(f"{layer}.output.dense", hidden, dim)
        norm(f"{layer}.output.LayerNorm")
    dense("pooler.dense", dim, dim)
    dense("cls.predictions.transform.dense", dim, dim)
    norm("cls.predictions.transform.LayerNorm")
    dense("cls.seq_relationship", dim, 2)
    return {name: rng.normal(0.0, 0.5, shape).astype(np.float32) for name, shape in shapes.items()}


def forward(
    weights: Weights, tokens: np.ndarray, segments: np.ndarray, length: np.ndarray, heads: int
) -> dict[str, Any]:
    """The embeddings and every layer's output `[L + 1, B, T, D]`, "pooled", and where the weights
    have them "words" `[B, T, V]` and "follows" `[B, 2]`; in float64."""
    w = {name: np.asarray(array, np.float64) for name, array in weights.items()}

    def dense(name: str, x: np.ndarray) -> np.ndarray:
        return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]

    def norm(name: str, x: np.ndarray) -> np.ndarray:
        centred = x - x.mean(-1, keepdims=True)
        scale = np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-12)
        return centred / scale * w[f"{name}.weight"] + w[f"{name}.bias"]

    def gelu(x: np.ndarray) -> np.ndarray:
        return x * 0.5 * (1.0 + erf(x / np.sqrt(2.0)))

    x = w["embeddings.word_embeddings.weight"][tokens]
    x = x + w["embeddings.position_embeddings.weight"][: tokens.shape[1]]
    x = norm("embeddings.LayerNorm", x + w["embeddings.token_type_embeddings.weight"][segments])
    layers = [x]
    hidden_away = np.arange(tokens.shape[1]) >= length[:, None]
    while f"encoder.layer.{len(layers) - 1}.output.dense.weight" in w:
        name = f"encoder.layer.{len(layers) - 1}"
        parts = []
        for part in ("query", "key", "value"):
            y = dense(f"{name}.attention.self.{part}", x)
            parts.append(y.reshape(*y.shape[:2], heads, -1).transpose(0, 2, 1, 3))
        query, key, value = parts
        scores = query @ key.transpose(0, 1, 3, 2) / np.sqrt(query.shape[-1])
        scores = np.where(hidden_away[:, None, None, :], -np.inf, scores)
        mixed = (softmax(scores, -1) @ value).transpose(0, 2, 1, 3).reshape(x.shape)
        mixed = dense(f"{name}.attention.output.dense", mixed)
        x = norm(f"{name}.attention.output.LayerNorm", x + mixed)
        y = dense(f"{name}.output.dense", gelu(dense(f"{name}.intermediate.dense", x)))
        x = norm(f"{name}.output.LayerNorm", x + y)
        layers.append(x)
    found = {"layers": np.stack(layers), "pooled": np.tanh(dense("pooler.dense", x[:, 0]))}
    if "cls.predictions.bias" in w:
        y = gelu(dense("cls.predictions.transform.dense", x))
        y = norm("cls.predictions.transform.LayerNorm", y)
        found["words"] = y @ w["embeddings.word_embeddings.weight"].T + w["cls.predictions.bias"]
        found["follows"] = dense("cls.seq_relationship", found["pooled"])
    return found
