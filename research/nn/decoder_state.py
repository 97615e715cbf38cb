"""What a sequence model carries from one token to the next: the contract with `decoding`."""

from __future__ import annotations

from typing import Any, NamedTuple


class DecoderState(NamedTuple):
    """State of `step(params, state, token [R]) -> (state, logits [R, V])`, R rows at a time.

    Attributes:
      carry: pytree that a step changes: recurrent states, key-value caches. Arrays have the rows on
        their first axis; scalars (the time step) are common to all rows.
      context: pytree that no step changes, rows on the first axis: the encoded source. Kept apart
        because beam search reorders rows within a sentence, for which the context is the same.
    """

    carry: Any
    context: Any = ()
