"""Released GPT-1 and GPT-2: equal to what transformers makes of the same weights."""

import json
from pathlib import Path

import jax
import numpy as np
import pytest

from research.core.errors import UserError
from research.models.gpt import GPT
from research.models.released.gpt_names import released_params
from tests.models.released.drawn import drawn

RECORDED = json.loads(Path(__file__).with_name("recorded.json").read_text("utf-8"))
KINDS = ("gpt1", "gpt2")


def model(kind, **changes):
    sizes = dict(vocab_size=19, layers=2, dim=16, num_heads=2, head_dim=8, hidden=64)
    return GPT(**{**sizes, "max_length": 12, "pre_norm": kind == "gpt2", **changes})


def arrays(kind):
    return drawn(RECORDED[kind]["shapes"])


@pytest.mark.parametrize("kind", KINDS)
def test_logits_are_those_of_transformers(kind):
    params = released_params(model(kind), arrays(kind))
    tokens = np.array(RECORDED[kind]["inputs"], np.int32)
    logits, _ = model(kind).apply({"params": params}, tokens, train=False)
    np.testing.assert_allclose(logits, RECORDED[kind]["outputs"], atol=1e-4)


@pytest.mark.parametrize("changes", [{}, {"window": 4}])
def test_all_parameters_are_there(changes):
    banded = model("gpt2", **changes)
    tokens = np.zeros((1, 2), np.int32)
    shapes = jax.eval_shape(lambda: banded.init(jax.random.key(0), tokens, train=False)["params"])
    found = released_params(banded, arrays("gpt2"))
    assert jax.tree.map(np.shape, found) == jax.tree.map(lambda x: x.shape, shapes)


def test_layers_alternate_where_every_second_is_banded():
    found = released_params(model("gpt2", window=4), arrays("gpt2"))
    gains = arrays("gpt2")
    for layer in range(2):
        scale = found["groups"][f"blocks_{layer}"]["mlp_norm"]["scale"]
        np.testing.assert_array_equal(scale[0], gains[f"transformer.h.{layer}.ln_2.weight"])


def test_names_without_the_prefix_and_constants():
    named = arrays("gpt2")
    plain = {name.removeprefix("transformer."): x for name, x in named.items()}
    plain["h.0.attn.bias"] = np.ones((1, 1, 12, 12))  # the causal mask of older files
    plain["lm_head.weight"] = plain["wte.weight"]
    jax.tree.map(
        np.testing.assert_array_equal,
        released_params(model("gpt2"), plain),
        released_params(model("gpt2"), named),
    )


def test_other_names_are_not_its_business():
    assert released_params(model("gpt2"), {"learner/params/embedding": np.ones(2)}) is None


def without(named, name):
    return {key: x for key, x in named.items() if name not in key}


@pytest.mark.parametrize(
    ("changes", "arrays", "said"),
    [
        ({"pre_norm": False}, arrays("gpt2"), "those of GPT-2; this model is a GPT-1"),
        ({"layers": 3}, arrays("gpt2"), "have 2 layers, the model 3"),
        ({"dim": 32}, arrays("gpt2"), "the model as"),
        ({"vocab_size": 20}, arrays("gpt2"), r"embedding as \[19, 16\], the model as \[20, 16\]"),
        ({}, without(arrays("gpt2"), "c_fc.bias"), "have no mlp.c_fc.bias"),
        ({}, without(arrays("gpt2"), "h.1.ln_1.bias"), "have 1 layers"),
        ({}, without(arrays("gpt2"), "ln_f"), "have no norm"),
        ({}, {**arrays("gpt2"), "score.weight": np.ones(3)}, "score.weight is no name"),
    ],
)
def test_what_does_not_fit_is_refused(changes, arrays, said):
    with pytest.raises(UserError, match=said):
        released_params(model("gpt2", **changes), arrays)
