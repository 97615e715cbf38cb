"""Records what the libraries that weights are released for make of drawn ones: `recorded.json`.

It needs torch, torchvision and transformers, which the project does not:
`python -m tests.models.released.record`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torchvision
import transformers

from tests.models.released.drawn import drawn

RECORDED = Path(__file__).with_name("recorded.json")
VOCABULARY, LENGTH, WIDTH, LAYERS, HEADS = 19, 12, 16, 2, 2


def load(model: torch.nn.Module, copies: Iterable[str] = ()) -> dict[str, list[int]]:
    """Gives a network its drawn weights, but for copies of others; returns shapes by name."""
    state = {name: x for name, x in model.state_dict().items() if name not in copies}
    shapes = {name: list(x.shape) for name, x in state.items() if x.is_floating_point()}
    arrays = {name: torch.from_numpy(x) for name, x in drawn(shapes).items()}
    model.load_state_dict({**state, **arrays}, strict=False)
    model.eval()
    return shapes


def record_gpt(kind: str) -> dict[str, Any]:
    sizes = dict(vocab_size=VOCABULARY, n_positions=LENGTH, n_embd=WIDTH)
    sizes |= dict(n_layer=LAYERS, n_head=HEADS)
    model: torch.nn.Module
    if kind == "gpt2":
        model = transformers.GPT2LMHeadModel(transformers.GPT2Config(**sizes))
    else:
        model = transformers.OpenAIGPTLMHeadModel(transformers.OpenAIGPTConfig(**sizes))
    shapes = load(model, {"lm_head.weight"})  # the table of the tokens once more
    tokens = np.random.default_rng(0).integers(0, VOCABULARY, (2, LENGTH))
    with torch.no_grad():
        logits = model(torch.from_numpy(tokens)).logits
    return {"shapes": shapes, "inputs": tokens.tolist(), "outputs": logits.tolist()}


def record_bert() -> dict[str, Any]:
    sizes = dict(vocab_size=VOCABULARY, max_position_embeddings=LENGTH, hidden_size=WIDTH)
    sizes |= dict(num_hidden_layers=LAYERS, num_attention_heads=HEADS, intermediate_size=4 * WIDTH)
    model = transformers.BertForPreTraining(transformers.BertConfig(**sizes))
    # Copies of the table and of a bias, which would be drawn by names of their own.
    copies = {"cls.predictions.decoder.weight", "cls.predictions.decoder.bias"}
    shapes = load(model, copies)
    rng = np.random.default_rng(0)
    tokens = rng.integers(0, VOCABULARY, (2, LENGTH))
    lengths = np.array([LENGTH, 7])
    inputs = {
        "input_ids": tokens,
        "token_type_ids": np.tile(np.arange(LENGTH) >= 5, (2, 1)).astype(int),
        "attention_mask": (np.arange(LENGTH) < lengths[:, None]).astype(int),
    }
    with torch.no_grad():
        found = model(**{name: torch.from_numpy(x) for name, x in inputs.items()})
    return {
        "shapes": shapes,
        "inputs": {**{name: x.tolist() for name, x in inputs.items()}, "lengths": [LENGTH, 7]},
        "outputs": {
            "words": found.prediction_logits.tolist(),
            "follows": found.seq_relationship_logits.tolist(),
        },
    }


def record_resnet(depth: int) -> dict[str, Any]:
    model = getattr(torchvision.models, f"resnet{depth}")(num_classes=5)
    shapes = load(model)
    images = np.random.default_rng(0).standard_normal((2, 3, 64, 64)).astype(np.float32)
    with torch.no_grad():
        logits = model(torch.from_numpy(images))
    return {"shapes": shapes, "inputs": "standard normal, seed 0", "outputs": logits.tolist()}


def main() -> None:
    found = {
        "versions": {m.__name__: m.__version__ for m in (torch, torchvision, transformers)},
        **{kind: record_gpt(kind) for kind in ("gpt1", "gpt2")},
        "bert": record_bert(),
        **{f"resnet{depth}": record_resnet(depth) for depth in (18, 50)},
    }
    text = json.dumps(found, separators=(",", ":"))
    RECORDED.write_text(text.replace('},"', '},\n"') + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
