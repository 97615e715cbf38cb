"""BERT as the `transformers` library names it: `BertModel`, `BertForPreTraining`,
`BertForMaskedLM`, and sentence encoders of the same architecture.

Its kernels are `[out, in]`, those of queries, keys and values apart. Ours are `[in, out]`, the
three in one array with axes for the three and for the heads, and layers on an axis of their own.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
from flax.traverse_util import unflatten_dict

from research.core.errors import UserError
from research.models.bert import BERT

# What stands once: released name -> ours.
TOP = {
    "embeddings.word_embeddings.weight": "encoder/embedding",
    "embeddings.position_embeddings.weight": "encoder/position_embedding",
    "embeddings.token_type_embeddings.weight": "encoder/segment_embedding",
    "embeddings.LayerNorm.weight": "encoder/embedding_norm/scale",
    "embeddings.LayerNorm.bias": "encoder/embedding_norm/bias",
    "pooler.dense.weight": "encoder/pooler/kernel",
    "pooler.dense.bias": "encoder/pooler/bias",
    "cls.predictions.transform.dense.weight": "transform/kernel",
    "cls.predictions.transform.dense.bias": "transform/bias",
    "cls.predictions.transform.LayerNorm.weight": "transform_norm/scale",
    "cls.predictions.transform.LayerNorm.bias": "transform_norm/bias",
    "cls.predictions.bias": "word_bias",
    "cls.seq_relationship.weight": "next_sentence/kernel",
    "cls.seq_relationship.bias": "next_sentence/bias",
}
# What stands in each layer, behind "encoder.layer.0." and so on. "qkv/0" is the first of three.
BLOCK = {
    "attention.self.query.weight": "attention/qkv/kernel/0",
    "attention.self.query.bias": "attention/qkv/bias/0",
    "attention.self.key.weight": "attention/qkv/kernel/1",
    "attention.self.key.bias": "attention/qkv/bias/1",
    "attention.self.value.weight": "attention/qkv/kernel/2",
    "attention.self.value.bias": "attention/qkv/bias/2",
    "attention.output.dense.weight": "attention/out/kernel",
    "attention.output.dense.bias": "attention/out/bias",
    "attention.output.LayerNorm.weight": "attention_norm/scale",
    "attention.output.LayerNorm.bias": "attention_norm/bias",
    "intermediate.dense.weight": "expand/kernel",
    "intermediate.dense.bias": "expand/bias",
    "output.dense.weight": "contract/kernel",
    "output.dense.bias": "contract/bias",
    "output.LayerNorm.weight": "feed_forward_norm/scale",
    "output.LayerNorm.bias": "feed_forward_norm/bias",
}
# Numbers of positions, and copies of what is tied.
_LEFT_OUT = re.compile(r"(position_ids|cls\.predictions\.decoder\.(weight|bias))$")
_LAYER = re.compile(r"encoder\.layer\.(\d+)\.(.+)")


def released_params(model: BERT, arrays: Mapping[str, np.ndarray]) -> dict[str, Any] | None:
    """Parameters from released ones: "encoder", and of pre-training's layers those that there are.

    Args:
      model: of their sizes.
      arrays: by released name, behind "bert." or not; norms of old files have "gamma" and "beta".

    Returns:
      The parameters; None where the names are not BERT's.

    Raises:
      UserError: an array is missing, of another shape than the model's, or unknown.
    """
    named = {_current(name): array for name, array in arrays.items()}
    if "embeddings.word_embeddings.weight" not in named:
        return None
    params: dict[str, np.ndarray] = {}  # by path
    layers: list[dict[str, np.ndarray]] = [{} for _ in range(model.layers)]
    for name, array in named.items():
        if _LEFT_OUT.search(name):
            continue
        if match := _LAYER.fullmatch(name):
            index, part = int(match[1]), match[2]
            if part not in BLOCK:
                raise UserError(f"{name} is no name of a BERT's weights")
            if index >= model.layers:
                raise UserError(
                    f"the released weights have a layer {index}, the model {model.layers} layers"
                )
            layers[index][BLOCK[part]] = _turned(part, array)
        elif name in TOP:
            params[TOP[name]] = _turned(name, array)
        else:
            raise UserError(f"{name} is no name of a BERT's weights")
    for index, found in enumerate(layers):
        if missing := sorted(set(BLOCK.values()) - set(found)):
            raise UserError(f"layer {index} of the released weights has no {missing[0]}")
    for name, array in _stacked(layers, model).items():
        params[f"encoder/layers/block/{name}"] = array
    _check(params, model)
    return unflatten_dict(params, sep="/")


def _current(name: str) -> str:
    name = name.removeprefix("bert.")
    return name.replace("LayerNorm.gamma", "LayerNorm.weight").replace(
        "LayerNorm.beta", "LayerNorm.bias"
    )


def _turned(name: str, array: np.ndarray) -> np.ndarray:
    """Kernels as `[in, out]`; tables and vectors as they are."""
    is_table = name.startswith("embeddings.")
    return array.T if array.ndim == 2 and not is_table else array


def _stacked(layers: list[dict[str, np.ndarray]], model: BERT) -> dict[str, np.ndarray]:
    """Arrays `[L, ...]` by our name within a block, with axes for heads."""
    heads, dim = (model.num_heads, model.head_dim), model.dim
    shapes = {
        "attention/qkv/kernel": (dim, *heads),
        "attention/qkv/bias": heads,
        "attention/out/kernel": (*heads, dim),
        "expand/kernel": (dim, model.hidden),
        "contract/kernel": (model.hidden, dim),
        "expand/bias": (model.hidden,),
    }
    found: dict[str, np.ndarray] = {}
    for name in layers[0]:
        whole = name.removesuffix("/0").removesuffix("/1").removesuffix("/2")
        shape = shapes.get(whole, (dim,))
        arrays = [layer[name] for layer in layers]
        if arrays[0].size != np.prod(shape):
            raise UserError(
                f"the released weights have {whole} as {list(arrays[0].shape)}, the model as "
                f"{list(shape)}"
            )
        found[name] = np.stack([array.reshape(shape) for array in arrays])
    for kind, axis in (("kernel", 2), ("bias", 1)):  # [L, D, 3, H, d] and [L, 3, H, d]
        parts = [found.pop(f"attention/qkv/{kind}/{i}") for i in range(3)]
        found[f"attention/qkv/{kind}"] = np.stack(parts, axis)
    return found


def _check(params: Mapping[str, np.ndarray], model: BERT) -> None:
    """Refuses an encoder that is incomplete or of other sizes than the model's."""
    wanted = {
        "embedding": (model.vocab_size, model.dim),
        "position_embedding": (model.max_length, model.dim),
        "segment_embedding": (model.segments, model.dim),
    }
    whole = *wanted, "embedding_norm/scale", "embedding_norm/bias", "pooler/kernel", "pooler/bias"
    if missing := [name for name in whole if f"encoder/{name}" not in params]:
        raise UserError(f"the released weights have no {missing[0]}")
    for name, shape in wanted.items():
        found = params[f"encoder/{name}"].shape
        if found != shape:
            raise UserError(
                f"the released weights have {name} as {list(found)}, the model as {list(shape)}"
            )
