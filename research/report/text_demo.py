"""Demos of language models: a text that they go on with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from research.core import UserError
from research.data.text.vocabulary import Vocabulary
from research.decoding.complete import complete
from research.report.demo import Demo, Number, Probabilities, Text

SHOWN = 10  # tokens that may come next


def continue_demo(
    model: nn.Module,
    params: Any,
    vocabulary: Vocabulary,
    *,
    context: int,
    prompts: Sequence[str],
    new_tokens: int,
    temperature: float,
    top_k: int,
    top_p: float,
    texts_end: bool = True,
) -> Demo:
    """A demo that goes on from a prompt.

    Args:
      model: called as `model(tokens [B, T], train=False) -> (logits [B, T, V], ...)`, and as
        `decoding.complete` calls it.
      params: its parameters.
      vocabulary: of its tokens.
      context: tokens that it can see at once.
      prompts: to try; the first is the default.
      new_tokens, temperature, top_k, top_p: defaults, see `decoding.complete`.
      texts_end: the model knows the end of a text, after which a new one begins. One that does not
        begins with the prompt's first token, and always writes as many tokens as are asked for.
    """
    end = vocabulary.end_of_text if texts_end else -1

    def run(
        prompt: str, tokens: int, temperature: float, top_k: int, top_p: float, draw: int
    ) -> dict[str, Any]:
        if not (prompt or texts_end):
            raise UserError("write at least one character to go on from")
        begin = [end] if texts_end else []
        # Of a prompt that is too long the end counts.
        seen = np.append(begin, vocabulary.encode(prompt))[-(context - tokens) :].astype(np.int32)
        (found,) = complete(
            model,
            params,
            [seen],
            draw,
            new_tokens=tokens,
            end=end,
            temperature=temperature,
            top_k=top_k,
            top_p=top_p,
        )
        logits: Any = model.apply({"params": params}, seen[None], train=False)
        following = token_probabilities(logits[0][0, -1], lambda i: repr(vocabulary.decode([i])))
        return {"text": prompt + vocabulary.decode(found), "next": following}

    most = context - 1
    return Demo(
        title="Continue a text",
        says="The model goes on from your beginning, token by token. Which tokens may come first, "
        "and how likely each is, stands beside it.",
        inputs={
            "prompt": Text("beginning", prompts[0], lines=4),
            "tokens": Number("tokens at most", min(new_tokens, most), 1, most),
            "temperature": Number("temperature: lower is safer", temperature, 0.05, 2, 0.05),
            "top_k": Number("draws from the k likeliest alone; 0: from all", top_k, 0, 1000),
            "top_p": Number("draws from the likeliest with this share", top_p, 0.01, 1, 0.01),
            "draw": Number("which draw: another number, another text", 0, 0, 9999),
        },
        outputs={
            "text": Text("the text", lines=8),
            "next": Probabilities("what may follow the beginning"),
        },
        run=run,
        examples=[{"prompt": prompt} for prompt in prompts],
    )


def token_probabilities(
    logits: jax.Array, name: Callable[[int], str], count: int = SHOWN
) -> dict[str, float]:
    """The likeliest tokens by name, of logits `[V]`; tokens of one name are added up."""
    probabilities = np.asarray(jax.nn.softmax(jnp.asarray(logits, jnp.float32)))
    found: dict[str, float] = {}
    for i in np.argsort(-probabilities, kind="stable")[:count]:
        key = name(int(i))
        found[key] = found.get(key, 0.0) + float(probabilities[i])
    return found
