"""n-step returns against a plain loop."""

import numpy as np
import pytest

from research.rl.returns import n_step


def loop(reward, terminated, transition, gamma):
    total, discount, length = 0.0, 1.0, 0
    for r, end, step in zip(reward, terminated, transition, strict=True):
        if not step:  # truncated before: the value of the observation reached still counts
            break
        total += discount * r
        discount *= gamma
        length += 1
        if end:
            return total, 0.0, length
    return total, discount, length


@pytest.mark.parametrize("n", [1, 2, 5])
def test_equals_the_loop_with_ends_in_the_middle(n):
    rng = np.random.default_rng(n)
    reward = rng.normal(size=(200, n)).astype(np.float32)
    terminated = rng.random((200, n)) < 0.2
    transition = rng.random((200, n)) < 0.8
    ours = n_step(reward, terminated, transition, 0.9)
    theirs = [loop(*row, 0.9) for row in zip(reward, terminated, transition, strict=True)]
    for a, b in zip(ours, zip(*theirs, strict=True), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
