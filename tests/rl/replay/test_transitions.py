"""The ring that transitions and episodes are replayed from."""

import jax
import jax.numpy as jnp
import numpy as np

from research.rl.replay.transitions import Ring


def test_ring_holds_the_newest_and_writes_over_the_oldest():
    ring = Ring(capacity=11, num_envs=2)  # 5 rows
    state = ring.init({"x": jnp.zeros((2, 3))})
    add = jax.jit(ring.add, donate_argnums=0)
    for r in range(13):
        state = add(state, {"x": jnp.full((2, 3), r) + jnp.array([[0.0], [0.5]])})
        assert state.filled == min(r + 1, 5) and state.head == (r + 1) % 5
        drawn = np.asarray(ring.sample(state, jax.random.key(r), 400)["x"][:, 0])
        expected = {q + e for q in range(max(0, r - 4), r + 1) for e in (0, 0.5)}
        assert set(drawn.tolist()) == expected
        counts = np.unique(drawn, return_counts=True)[1]
        mean = 400 / len(expected)
        assert (abs(counts - mean) < 5 * mean**0.5).all()
