"""Every weight of a script's state begins as the released one, where scripts know their names."""

import json
from pathlib import Path

import jax
import numpy as np
import pytest

from research import app, config
from research.core.errors import UserError
from research.core.tree import named_leaves
from research.weights import initial, safetensors_file
from research.weights.selection import is_weight
from tests.models.released.drawn import drawn

ROOT = Path(__file__).resolve().parents[2]
RECORDED = json.loads((ROOT / "tests/models/released/recorded.json").read_text("utf-8"))

_GPT = {
    "model.layers": 2,
    "model.dim": 16,
    "model.num_heads": 2,
    "model.head_dim": 8,
    "model.hidden": 64,
    "model.vocab_size": 257,
    "model.max_length": 48,
}
_RESNET = {
    "model.variant": "imagenet18",
    "model.shortcut": "B",
    "model.stride_in": "3x3",
    "model.width": 0,
}
# Script: kind of the released network, settings, the layer that it has no weights for.
CASES = {
    "gpt": ("gpt2", {**_GPT, "data.names": ("python_reference",), "eval.stride_tokens": 16}, ""),
    "gpt1": ("gpt1", _GPT, "head"),
    "resnet": ("resnet18", _RESNET, "classifier"),
    "imagenet_1hr": ("resnet18", {**_RESNET, "model.pool": 0}, "classifier"),
}


def make(script, changes):
    module = config.load_module(ROOT / "experiments" / f"{script}.py")
    settings = config.load_module(ROOT / "configs" / f"{script}.py").get_config("smoke")
    return config.build(module, config.with_overrides(settings, {**changes, "seed": 0}))


def released(kind):
    """Of a network for as many tokens and classes as the scripts' smoke runs have."""
    shapes = dict(RECORDED[kind]["shapes"])
    for name, shape in shapes.items():
        if name.endswith(("wte.weight", "tokens_embed.weight")):
            shapes[name] = [257, *shape[1:]]
        if name.endswith(("wpe.weight", "positions_embed.weight")):
            shapes[name] = [48, *shape[1:]]
    return drawn(shapes)


@pytest.mark.parametrize("script", CASES)
def test_a_state_begins_with_released_weights(script):
    kind, changes, fresh = CASES[script]
    experiment = make(script, changes)
    found = experiment.from_released(released(kind))
    shapes = jax.eval_shape(experiment.init, jax.random.key(0))
    ours = {name for name in named_leaves(shapes) if is_weight(name)}
    left = ours - set(initial.fitting(shapes, found))
    assert left == {f"learner/params/{fresh}/{part}" for part in ("bias", "kernel") if fresh}
    assert experiment.from_released({"learner/params/a": np.ones(1)}) is None


def test_a_task_has_more_tokens_than_the_released_model():
    experiment = make("gpt1", _GPT)
    arrays = released("gpt1")
    table = experiment.from_released(arrays)["learner/params/body/embedding"]
    np.testing.assert_array_equal(table[:257], arrays["transformer.tokens_embed.weight"])
    assert table.shape == (260, 16) and 0.01 < table[257:].std() < 0.03


def test_other_sizes_are_one_line(tmp_path, capsys):
    module = config.load_module(ROOT / "experiments" / "gpt.py")
    path = tmp_path / "model.safetensors"
    safetensors_file.save(path, released("gpt2"), {})
    command = ["--config", f"{ROOT}/configs/gpt.py:smoke", "--arm", "text"]
    command += [f"--config.init_from={path}", "--workdir", str(tmp_path / "run")]
    assert app.main(module, command) == 2
    error = capsys.readouterr().err.strip()
    assert "the released weights have" in error and "\n" not in error
    assert not (tmp_path / "run").exists()
    with pytest.raises(UserError, match="no name"):
        make("gpt", CASES["gpt"][1]).from_released({"wte.weight": np.ones(1), "x": np.ones(1)})
