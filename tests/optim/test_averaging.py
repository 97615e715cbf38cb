"""The running mean equals the mean of the last checkpoints, wherever the run is cut."""

import jax
import numpy as np

from research.optim.averaging import CheckpointAverage

RNG = np.random.default_rng(0)
HISTORY = [{"a": RNG.normal(size=3), "b": {"c": RNG.normal(size=(2, 2))}} for _ in range(23)]


def run(average, history):
    state, update = average.init(history[0]), jax.jit(average.update)
    for t, params in enumerate(history):
        state = update(state, params, t)
    return state


def test_mean_of_the_last_k_checkpoints():
    for k, every in ((5, 3), (1, 4), (3, 1)):
        average = CheckpointAverage(num_steps=23, checkpoints=k, every_steps=every)
        state = run(average, HISTORY)
        chosen = [HISTORY[22 - i * every] for i in range(k)]
        expected = jax.tree.map(lambda *x: np.mean(x, axis=0), *chosen)
        assert state.count == k
        jax.tree.map(
            lambda x, y: np.testing.assert_allclose(x, y, atol=1e-6),
            average.params(state, HISTORY[-1]),
            expected,
        )


def test_before_the_first_of_them_the_current_parameters_stand_in():
    average = CheckpointAverage(num_steps=23, checkpoints=2, every_steps=3)
    state = run(average, HISTORY[:19])  # the first of the two is step 20
    assert state.count == 0
    np.testing.assert_allclose(average.params(state, HISTORY[18])["a"], HISTORY[18]["a"], rtol=1e-6)
    state = average.update(state, HISTORY[19], 19)
    np.testing.assert_allclose(average.params(state, HISTORY[22])["a"], HISTORY[19]["a"], rtol=1e-6)
