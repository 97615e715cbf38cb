"""Prompts are continued within the context, and probabilities are those of the next token."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from research.core import UserError
from research.data.text.vocabulary import Bytes
from research.models.gpt import GPT
from research.papers.gpt.key_label_demo import key_label_demo
from research.papers.gpt.key_labels import KeyLabels
from research.report.text_demo import continue_demo, token_probabilities

SIZES = {"layers": 1, "dim": 8, "num_heads": 1, "head_dim": 8, "hidden": 8}


def make(vocab_size, max_length):
    model = GPT(vocab_size=vocab_size, max_length=max_length, **SIZES)
    return model, model.init(jax.random.key(0), jnp.zeros((1, 2), jnp.int32), train=False)["params"]


def test_a_prompt_is_continued_however_long_it_is():
    model, params = make(257, 16)
    sampling = {"new_tokens": 4, "temperature": 1.0, "top_k": 0, "top_p": 1.0}
    demo = continue_demo(model, params, Bytes(), context=16, prompts=("ab",), **sampling)
    found = demo.run(**demo.defaults())
    assert found["text"].startswith("ab")
    logits = model.apply({"params": params}, jnp.array([[256, 97, 98]]), train=False)[0][0, -1]
    likeliest = np.sort(jax.nn.softmax(logits))[-10:]  # of some the bytes are no letters alone
    assert sum(found["next"].values()) == pytest.approx(likeliest.sum(), 1e-4)
    long = demo.run(**{**demo.defaults(), "prompt": "x" * 50, "tokens": 15})
    assert long["text"].startswith("x" * 50)


def test_texts_without_an_end_begin_with_the_prompt():
    model, params = make(257, 16)
    sampling = {"new_tokens": 4, "temperature": 1.0, "top_k": 0, "top_p": 1.0}
    demo = continue_demo(
        model, params, Bytes(), context=16, prompts=("ab",), texts_end=False, **sampling
    )
    found = demo.run(**demo.defaults())
    logits = model.apply({"params": params}, jnp.array([[97, 98]]), train=False)[0][0, -1]
    likeliest = np.sort(jax.nn.softmax(logits))[-10:]
    assert sum(found["next"].values()) == pytest.approx(likeliest.sum(), 1e-4)
    with pytest.raises(UserError, match="at least one character"):
        demo.run(**{**demo.defaults(), "prompt": ""})


def test_tokens_of_one_name_are_added_up():
    logits = jnp.log(jnp.array([0.5, 0.3, 0.2]))
    shares = token_probabilities(logits, lambda i: "ab"[i % 2], count=3)
    assert shares == {"a": pytest.approx(0.7), "b": pytest.approx(0.3)}


def test_keys_and_labels():
    task = KeyLabels(4, 3, 8, 0)
    model, params = make(task.vocab_size, 17)
    demo = key_label_demo(model, params, task)
    answer = demo.run(**demo.defaults())["label"]
    assert sum(answer.values()) == pytest.approx(1, abs=1e-4) and {"0", "1", "2"} <= set(answer)
    spaced = demo.run(pairs="a1 b2", key="a")["label"]
    assert spaced == demo.run(pairs="a1b2", key="a")["label"]
    np.testing.assert_array_equal(task.encode("a1"), [0, 5])
    for bad in ("a", "1a", "e1", "a3", "a1" * 8):
        with pytest.raises(UserError, match="pairs are a letter of abcd and a digit of 012"):
            demo.run(pairs=bad, key="a")
