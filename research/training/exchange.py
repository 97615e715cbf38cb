"""Words between the processes of a run, through JAX's own service: no device is needed for them."""

from __future__ import annotations

import collections
from collections.abc import Callable
from typing import TypeVar

from jax._src import distributed  # Orbax takes its client from there too; JAX offers no other way

from research.core.errors import UserError

Value = TypeVar("Value")

_HOUR = 3_600_000  # milliseconds; who has gone is noticed by `peer_failure`
_rounds: collections.Counter[str] = collections.Counter()


def process_count() -> int:
    """How many processes this run has; unlike JAX's own, it starts no backend."""
    return distributed.global_state.num_processes if distributed.global_state.client else 1


def process_index() -> int:
    """Which of them this is."""
    return distributed.global_state.process_id if distributed.global_state.client else 0


def exchange(name: str, word: str) -> list[str]:
    """Gives this process's word for `name` to all, and takes theirs; all processes call it."""
    client = distributed.global_state.client
    if client is None or process_count() == 1:
        return [word]
    _rounds[name] += 1
    folder = f"landmarks/{name}/{_rounds[name]}"
    client.key_value_set(f"{folder}/{process_index()}", f"={word}")  # no word is empty
    return [
        client.blocking_key_value_get(f"{folder}/{i}", _HOUR)[1:] for i in range(process_count())
    ]


def agree(name: str, action: Callable[[], Value]) -> Value:
    """Does something on every process that may be refused; what one refuses, all refuse.

    Raises:
      UserError: of the first process that raised one.
    """
    value, refusal = None, ""
    try:
        value = action()
    except UserError as error:
        refusal = str(error)
    for word in exchange(name, refusal):
        if word:
            raise UserError(word)
    return value  # type: ignore[return-value]
