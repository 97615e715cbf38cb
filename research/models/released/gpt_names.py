"""GPT-2 and GPT-1 as the `transformers` library names them (`GPT2LMHeadModel`,
`OpenAIGPTLMHeadModel`, with or without the language model's head).

Its projections hold their kernels as `[in, out]`, as ours do, with queries, keys and values beside
one another in one matrix and the heads one after the other in each third. Ours have an axis for the
three, one for the heads, and one for the layers.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
from flax.traverse_util import unflatten_dict

from research.core.errors import UserError
from research.models.gpt import GPT

# What stands once, in either of the two: released name -> ours.
TOP = {
    "wte.weight": "embedding",  # [V, D]
    "wpe.weight": "position_embedding",  # [T, D]
    "ln_f.weight": "norm/scale",
    "ln_f.bias": "norm/bias",
    "tokens_embed.weight": "embedding",  # GPT-1's, which has no norm at the end
    "positions_embed.weight": "position_embedding",
}
# What stands in each layer, behind "h.0." and so on.
BLOCK = {
    "ln_1.weight": "attention_norm/scale",
    "ln_1.bias": "attention_norm/bias",
    "attn.c_attn.weight": "qkv/kernel",  # [D, 3 D] -> [D, 3, H, d]
    "attn.c_attn.bias": "qkv/bias",
    "attn.c_proj.weight": "out/kernel",  # [D, D] -> [H, d, D]
    "attn.c_proj.bias": "out/bias",
    "ln_2.weight": "mlp_norm/scale",
    "ln_2.bias": "mlp_norm/bias",
    "mlp.c_fc.weight": "expand/kernel",  # [D, 4 D]
    "mlp.c_fc.bias": "expand/bias",
    "mlp.c_proj.weight": "contract/kernel",
    "mlp.c_proj.bias": "contract/bias",
}
# Constants and copies: the causal mask, the numbers of the positions, the tied output layer.
_LEFT_OUT = re.compile(r"(^|\.)(attn\.(masked_)?bias|position_ids|lm_head\.weight)$")
_LAYER = re.compile(r"h\.(\d+)\.(.+)")


def released_params(model: GPT, arrays: Mapping[str, np.ndarray]) -> dict[str, Any] | None:
    """Parameters of a GPT from released ones.

    Args:
      model: of their sizes.
      arrays: by released name, behind "transformer." or not.

    Returns:
      The parameters; None where the names are not those of the two.

    Raises:
      UserError: an array is missing, of another shape than the model's, or unknown.
    """
    named = {name.removeprefix("transformer."): array for name, array in arrays.items()}
    if not {"wte.weight", "tokens_embed.weight"} & set(named):
        return None
    if model.pre_norm != ("wte.weight" in named):
        ours, theirs = ("GPT-2", "GPT-1") if model.pre_norm else ("GPT-1", "GPT-2")
        raise UserError(f"the released weights are those of {theirs}; this model is a {ours}")

    params: dict[str, np.ndarray] = {}  # by path
    layers: dict[str, dict[int, np.ndarray]] = {}
    for name, array in named.items():
        if _LEFT_OUT.search(name):
            continue
        if match := _LAYER.fullmatch(name):
            layers.setdefault(match[2], {})[int(match[1])] = array
        elif name in TOP:
            params[TOP[name]] = array
        else:
            raise UserError(f"{name} is no name of a GPT's weights")

    period = 2 if model.window else 1
    for name, by_layer in layers.items():
        if name not in BLOCK:
            raise UserError(f"h.0.{name} is no name of a GPT's weights")
        if sorted(by_layer) != list(range(model.layers)):
            raise UserError(
                f"the released weights have {len(by_layer)} layers, the model {model.layers}"
            )
        stack = [_laid_out(BLOCK[name], by_layer[i], model) for i in range(model.layers)]
        for place in range(period):
            params[f"groups/blocks_{place}/{BLOCK[name]}"] = np.stack(stack[place::period])
    _check(params, model, set(layers))
    return unflatten_dict(params, sep="/")


def _laid_out(name: str, array: np.ndarray, model: GPT) -> np.ndarray:
    """An array of one layer with our axes."""
    heads = (model.num_heads, model.head_dim)
    shapes = {
        "qkv/kernel": (model.dim, 3, *heads),
        "qkv/bias": (3, *heads),
        "out/kernel": (*heads, model.dim),
    }
    shape = shapes.get(name, array.shape)
    if array.size != np.prod(shape):
        raise UserError(
            f"the released weights have {name} as {list(array.shape)}, the model as {list(shape)}"
        )
    return array.reshape(shape)


def _check(params: Mapping[str, np.ndarray], model: GPT, layers: set[str]) -> None:
    """Refuses what is incomplete or of other sizes than the model's."""
    missing = sorted(set(BLOCK) - layers)
    wanted = ["embedding", "position_embedding"]
    wanted += ["norm/scale", "norm/bias"] if model.pre_norm else []
    missing += [name for name in wanted if name not in params]
    if missing:
        raise UserError(f"the released weights have no {missing[0]}")
    for name, rows in (("embedding", model.vocab_size), ("position_embedding", model.max_length)):
        if params[name].shape != (rows, model.dim):
            raise UserError(
                f"the released weights have {name} as {list(params[name].shape)}, the model as "
                f"{[rows, model.dim]}"
            )
