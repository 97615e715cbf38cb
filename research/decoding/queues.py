"""Draws sound sample by sample: by queues (Paine et al., 2016), or naively, all anew each time.

Both draw sample t with the key `fold_in(key, t)`, so that the same logits give the same samples.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from research.models.wavenet import WaveNet
