"""Continuations of ragged prompts are those of each prompt alone."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from research.core.map_batches import map_batches
from research.decoding import complete as complete_module
from research.decoding.complete import complete, left_padded
from research.models.gpt import GPT
from research.nn.decoder_state import DecoderState
from research.papers.gpt.cache_error import cache_error

PROMPTS = [np.array(p, np.int32) for p in ([3], [1, 2, 3, 4, 5], [7, 2])]


@pytest.fixture(scope="module")
def model():
    model = GPT(
        vocab_size=11, layers=2, dim=16, num_heads=2, head_dim=8, hidden=32, max_length=16, window=3
    )
    params = model.init(jax.random.key(0), jnp.zeros((1, 2), jnp.int32), train=False)["params"]
    return model, jax.tree.map(lambda p: 8 * p, params)


def test_left_padding():
    padded, lengths = left_padded(PROMPTS)
    assert padded.tolist() == [[0, 0, 0, 0, 3], [1, 2, 3, 4, 5], [0, 0, 0, 7, 2]]
    assert lengths.tolist() == [1, 5, 2]


def greedy_alone(model, params, prompt, count):
    """Without a cache; what follows a position has no influence on it."""
    apply = jax.jit(lambda tokens: model.apply({"params": params}, tokens, train=False)[0])
    tokens = np.zeros((1, len(prompt) + count), np.int32)
    tokens[0, : len(prompt)] = prompt
    for i in range(len(prompt), len(prompt) + count):
        tokens[0, i] = jnp.argmax(apply(tokens)[0, i - 1])
    return tokens[0, len(prompt) :].tolist()


@pytest.mark.parametrize("how", [dict(top_k=1), dict(beam=1)], ids=str)
def test_equals_each_prompt_alone(model, how):
    found = complete(*model, PROMPTS, 0, new_tokens=6, end=-1, **how)
    for prompt, tokens in zip(PROMPTS, found, strict=True):
        assert tokens.tolist() == greedy_alone(*model, prompt, 6)


def test_stops_after_the_end(model):
    ahead = greedy_alone(*model, PROMPTS[1], 6)
    end = ahead[2]
    found = complete(*model, PROMPTS, 0, new_tokens=6, end=end, top_k=1)
    assert found[1].tolist() == ahead[: ahead.index(end) + 1]


def test_samples_follow_the_key(model):
    draws = [
        [t.tolist() for t in complete(*model, PROMPTS, k, new_tokens=8, end=-1)] for k in (0, 0, 1)
    ]
    assert draws[0] == draws[1] != draws[2]


def test_samples_do_not_depend_on_how_the_prompts_are_batched(model, monkeypatch):
    def one_by_one(function, params, rows, batch_size):
        return map_batches(function, params, rows, 1)

    how = dict(new_tokens=8, end=-1, temperature=8.0)
    together = complete(*model, PROMPTS, 3, **how)
    with monkeypatch.context() as patch:
        patch.setattr(complete_module, "map_batches", one_by_one)
        apart = complete(*model, PROMPTS, 3, **how)
    for a, b in zip(together, apart, strict=True):
        assert a.tolist() == b.tolist()
    alike = complete(*model, [PROMPTS[0]] * 3, 3, **how)
    assert len({tuple(tokens) for tokens in alike}) > 1, "each prompt draws for itself"


class Misplaced(GPT):
    """Counts positions from the padding on, not from each prompt's first token."""

    def start(self, prompt, lengths, max_length):
        (carry, first) = super().start(prompt, lengths, max_length)
        return DecoderState(carry, jnp.maximum(first - 1, 0))


def test_cache_error_is_small_and_sees_a_row_out_of_place(model):
    model, params = model
    tokens = np.random.default_rng(0).integers(0, 11, (3, 16)).astype(np.int32)
    assert cache_error(model, params, tokens, (5, 2, 1)) < 1e-4
    fields = {
        name: getattr(model, name)
        for name in GPT.__dataclass_fields__
        if name not in ("parent", "name")
    }
    assert cache_error(Misplaced(**fields), params, tokens, (5, 2, 1)) > 1e-2
