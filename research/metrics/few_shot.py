"""Zero-, one- and few-shot evaluation (Brown et al. 2020, section 2.4).

A query stands after K solved examples of the same task; no parameter changes. Multiple choice is
scored by the likelihood of each option.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

Encode = Callable[[str], np.ndarray]


@dataclasses.dataclass(frozen=True)
class Query:
    """One question.

    Attributes:
      context: what stands before the answer.
      options: possible completions; where a blank separates them from the context they begin with
        it, for it belongs to their first token.
      answer: index of the right one.
      pool: solved examples (context, completion) to draw shots from: the training split, never the
        query itself.
    """

    context: str
    options: tuple[str, ...]
    answer: int
    pool: Sequence[tuple[str, str]]


@dataclasses.dataclass(frozen=True)
class Prompts:
    """Writes prompts, and says how options are compared.

    Attributes:
      encode: text to token ids.
      max_tokens: context of the model; K shrinks until prompt and longest option fit.
      description: of the task, before the examples; "" for none.
      separator: between examples; GPT-3 has newlines.
      begin: tokens before everything, such as the end of a document before.
      normalise: "tokens": log likelihood over number of tokens; "unconditional": log likelihood
        less that after `unconditional_context` (ARC, OpenBookQA, RACE); "none".
    """

    encode: Encode
    max_tokens: int
    description: str = ""
    separator: str = "\n"
    begin: tuple[int, ...] = ()
    normalise: str = "tokens"
    unconditional_context: str = "Answer:"

    def write(self, query: Query, shots: Sequence[tuple[str, str]]) -> np.ndarray:
        """Token ids of description, as many of the shots as fit, and the query's context."""
        longest = max(len(self.encode(option)) for option in query.options)
        for count in range(len(shots), -1, -1):
            solved = [context + completion for context, completion in shots[:count]]
            parts = [self.description] if self.description else []
            text = self.separator.join([*parts, *solved, query.context])
            ids = np.concatenate([np.array(self.begin, np.int32), self.encode(text)])
            if len(ids) + longest <= self.max_tokens:
                return ids
        raise ValueError(f"a query of {len(ids)} tokens does not fit {self.max_tokens}")


# tokens [N, T] -> [N, T - 1], log probability of each token but the first, of all rows at once.
LogProbs = Callable[[np.ndarray], Any]


def log_likelihoods(
    log_probs: LogProbs, pairs: Sequence[tuple[np.ndarray, np.ndarray]]
) -> np.ndarray:
    """Log likelihoods of completions.

    Args:
      log_probs: of the model; through `training.map_batches`, a few rows at a time.
      pairs: N pairs (context, completion) of token ids.

    Returns:
      `[N]`, sums over the completion's tokens.
    """
    longest = max(len(context) + len(completion) for context, completion in pairs)
    length = 1 << (longest - 1).bit_length()  # few different shapes to compile
    tokens = np.zeros((len(pairs), length), np.int32)
    for row, (context, completion) in zip(tokens, pairs, strict=True):
        row[: len(context) + len(completion)] = np.concatenate([context, completion])
    found = np.asarray(log_probs(tokens), np.float64)
    sums = np.zeros(len(pairs))
    for i, (context, completion) in enumerate(pairs):
        begin = len(context) - 1
        sums[i] = found[i, begin : begin + len(completion)].sum()
    return sums


def choose(
    log_probs: LogProbs,
    prompts: Prompts,
    query_ids: Sequence[np.ndarray],
    queries: Sequence[Query],
) -> np.ndarray:
    """Returns the index of every query's likeliest option, given the token ids of its prompt."""
    if prompts.normalise not in ("tokens", "unconditional", "none"):
        raise ValueError(f"normalise: {prompts.normalise!r}")
    options = [[prompts.encode(option) for option in query.options] for query in queries]
    pairs = [(ids, o) for ids, own in zip(query_ids, options, strict=True) for o in own]
    scores = log_likelihoods(log_probs, pairs)
    if prompts.normalise == "tokens":
        scores = scores / np.array([len(option) for _, option in pairs])
    elif prompts.normalise == "unconditional":
        neutral = np.concatenate(
            [np.array(prompts.begin, np.int32), prompts.encode(prompts.unconditional_context)]
        )
        scores = scores - log_likelihoods(log_probs, [(neutral, o) for _, o in pairs])
    ends = np.cumsum([len(own) for own in options])[:-1]
    return np.array([int(np.argmax(part)) for part in np.split(scores, ends)])


def accuracy(
    log_probs: LogProbs,
    prompts: Prompts,
    queries: Sequence[Query],
    shots: int,
    draws: int,
    seed: int,
) -> np.ndarray:
    """Returns the share of right answers with `shots` examples: `[draws]`, of each drawing."""
    answers = np.array([query.answer for query in queries])
    found = []
    for draw in range(draws):
        rng = np.random.default_rng((seed, draw))
        ids = []
        for query in queries:
            picked = rng.choice(len(query.pool), min(shots, len(query.pool)), replace=False)
            ids.append(prompts.write(query, [query.pool[i] for i in picked]))
        found.append(np.mean(choose(log_probs, prompts, ids, queries) == answers))
    return np.array(found)
