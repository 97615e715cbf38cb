"""ResNets for ImageNet as `torchvision` and `timm` name them (`resnet18` to `resnet152`).

Theirs halve the image in the 3x3 layer of a block of three (`stride_in="3x3"`) and project where a
block changes the shape (`shortcut="B"`). Convolutions are `[out, in, height, width]`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from research.core.errors import UserError
from research.models.resnet import ResNet, architecture

# Of a batch normalization: released name -> (collection, ours).
NORM = {
    "weight": ("params", "scale"),
    "bias": ("params", "bias"),
    "running_mean": ("batch_stats", "mean"),
    "running_var": ("batch_stats", "var"),
}
_LAYER = re.compile(
    r"(?:layer(?P<stage>[1-4])\.(?P<block>\d+)\.)?"
    r"(?:(?P<kind>conv|bn)(?P<place>[1-3])|downsample\.(?P<down>[01]))\.(?P<part>\w+)"
)


def released_variables(model: ResNet, arrays: Mapping[str, np.ndarray]) -> dict[str, Any] | None:
    """Variables of a residual network from released ones.

    Args:
      model: of their sizes.
      arrays: "conv1.weight" `[64, 3, 7, 7]` and so on.

    Returns:
      "params" and "batch_stats"; None where the names are not those of a ResNet.

    Raises:
      UserError: the network is another, or an array is unknown.
    """
    if not {"conv1.weight", "layer1.0.conv1.weight", "fc.weight"} <= set(arrays):
        return None
    _check_variant(model)
    variables: dict[str, Any] = {"params": {}, "batch_stats": {}}
    blocks: dict[int, int] = {}
    for name, array in arrays.items():
        if name in ("fc.weight", "fc.bias"):
            value = array.T if name == "fc.weight" else array
            part = "kernel" if name == "fc.weight" else "bias"
            variables["params"].setdefault("classifier", {})[part] = value
            continue
        match = _LAYER.fullmatch(name)
        if match is None:
            raise UserError(f"{name} is no name of a ResNet's weights")
        if match["part"] == "num_batches_tracked":
            continue
        if match["stage"]:
            stage = int(match["stage"])
            blocks[stage] = max(blocks.get(stage, 0), int(match["block"]) + 1)
        layer, is_norm = _layer(match)
        if is_norm:
            collection, part = NORM[match["part"]]
            variables[collection].setdefault(f"{layer}_norm", {})[part] = array
        else:
            variables["params"][f"{layer}_conv"] = {"kernel": array.transpose(2, 3, 1, 0)}

    wanted = architecture(model.variant).blocks
    found = tuple(blocks.get(stage + 1, 0) for stage in range(len(wanted)))
    bottleneck = "layer1.0.conv3.weight" in arrays
    if found != wanted or bottleneck != architecture(model.variant).bottleneck:
        raise UserError(
            f"the released weights have blocks of {3 if bottleneck else 2} layers, "
            f"{', '.join(map(str, found))} of them by stage; model.variant={model.variant!r} has "
            f"others"
        )
    return variables


def _layer(match: re.Match[str]) -> tuple[str, bool]:
    """Our name of a layer, and whether the array is of its normalization."""
    if match["stage"] is None:
        if match["down"] or match["place"] != "1":
            raise UserError(f"{match[0]} is no name of a ResNet's weights")
        return "stem", match["kind"] == "bn"
    block = f"stage{match['stage']}_block{int(match['block']) + 1}"
    if match["down"]:
        return f"{block}_shortcut", match["down"] == "1"
    return f"{block}_{match['place']}", match["kind"] == "bn"


def _check_variant(model: ResNet) -> None:
    arch = architecture(model.variant)
    wanted = "3x3" if arch.bottleneck else model.stride_in
    if not (
        arch.imagenet_stem
        and model.residual
        and model.shortcut == "B"
        and model.stride_in == wanted
        and not model.width
        and not model.pool
    ):
        raise UserError(
            "released ResNets are model.variant='imagenet18' to 'imagenet152' with shortcut='B', "
            "stride_in='3x3' and no width or pool of their own"
        )
