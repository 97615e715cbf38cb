"""Language-model batches that a recurrent network reads with the state it has carried so far.

A text is cut in B contiguous streams. Batch j holds the tokens j T to (j + 1) T of each of them,
so that row b of a batch goes on where row b of the batch before has ended.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from research.core import Source
from research.core.errors import UserError


def cut_streams(tokens: np.ndarray, rows: int, length: int) -> np.ndarray:
    """Cuts a text in contiguous streams, each with the token that follows it.

    Args:
      tokens: `[N]`. What is left over at the end, less than `rows * length` tokens, is dropped.
      rows: B, how many streams.
      length: T; a stream has a multiple of so many tokens to predict.

    Returns:
      `[B, n T + 1]`; the last token of a stream is the first of the next one.

    Raises:
      UserError: there are too few tokens for one batch.
    """
    size = (len(tokens) - 1) // (rows * length) * length
    if not size:
        raise UserError(
            f"{len(tokens)} tokens are too few for {rows} streams of {length} each; take fewer "
            "streams, shorter pieces, or more text"
        )
    starts = size * np.arange(rows)
    return tokens[starts[:, None] + np.arange(size + 1)].astype(np.int32)


class StreamBatches(Source):
    """Batches `{"tokens": [B, T + 1], "first": [B]}` of a text cut in B streams, epoch after epoch.

    `first` is True in the first batch of an epoch, where the streams begin anew and a carried state
    belongs to another place. Batch t is a function of t alone; each process makes its own rows of
    it.

    Args:
      open_tokens: gives the text's tokens `[N]` and says which data they are, when it is asked
        first.
      rows: B.
      length: T, tokens that a row predicts.
      epoch_steps: batches in an epoch, which is known before the data is opened.
    """

    def __init__(
        self,
        open_tokens: Callable[[], tuple[np.ndarray, str]],
        rows: int,
        length: int,
        epoch_steps: int,
    ):
        self.open_tokens, self.rows, self.length = open_tokens, rows, length
        self.epoch_steps = epoch_steps
        self.spec = {
            "tokens": jax.ShapeDtypeStruct((rows, length + 1), np.int32),
            "first": jax.ShapeDtypeStruct((rows,), np.bool_),
        }
        self.step = 0
        self._streams: np.ndarray | None = None

    def open(self) -> None:
        if self._streams is not None:
            return
        tokens, origin = self.open_tokens()
        streams = cut_streams(tokens, self.rows, self.length)
        batches = streams.shape[1] // self.length
        if batches != self.epoch_steps:
            raise UserError(
                f"{origin}: {len(tokens)} tokens make {batches} batches of {self.rows} x "
                f"{self.length}, not {self.epoch_steps} as the configuration says"
            )
        self._streams, self.origin = streams, origin

    def __call__(self, state: Any) -> dict[str, np.ndarray]:
        self.open()
        assert self._streams is not None
        column = self.step % self.epoch_steps
        share = self.rows // jax.process_count()
        own = slice(share * jax.process_index(), share * (jax.process_index() + 1))
        self.step += 1
        begin = column * self.length
        tokens = self._streams[own, begin : begin + self.length + 1]
        return {"tokens": tokens, "first": np.full(share, column == 0)}

    def get_state(self) -> dict[str, int]:
        return {"step": self.step}

    def set_state(self, state: dict[str, int]) -> None:
        self.step = state["step"]
