"""Batch ramps: sizes, steps and tokens agree with each other, and with a loop."""

import jax
import numpy as np
import pytest

from research.data.text.batch_ramp import BatchRamp


def ramp(**changes):
    sizes = dict(
        first_rows=4,
        rows=40,
        ramp_tokens=4000,
        total_tokens=20_000,
        tokens_per_row=10,
        levels=6,
        multiple=4,
    )
    return BatchRamp.linear(**{**sizes, **changes})


def test_grows_to_the_full_batch_in_multiples():
    sizes = [rows for rows, _ in ramp().levels]
    assert sizes[0] == 4 and sizes[-1] == 40 and sizes == sorted(sizes)
    assert all(rows % 4 == 0 for rows in sizes)
    assert ramp(multiple=16, rows=48).levels[0][0] == 16


def test_every_token_is_counted():
    r = ramp()
    rows = [r.rows(step) for step in range(r.num_steps)]
    assert 10 * sum(rows) == pytest.approx(20_000, abs=400)
    before = np.cumsum([0, *rows])
    assert [r.rows_before(step) for step in range(r.num_steps + 1)] == before.tolist()
    tokens = jax.jit(jax.vmap(r.tokens_before))(np.arange(r.num_steps + 1))
    np.testing.assert_allclose(tokens, 10 * before, rtol=1e-6)
    assert r.max_rows == 40


def test_is_linear_in_tokens():
    """Halfway through the ramp's tokens the batch has half the rows it gains."""
    r = ramp(levels=9, rows=400, first_rows=40, ramp_tokens=400_000, total_tokens=800_000)
    for fraction in (0.25, 0.5, 0.75):
        step = next(s for s in range(r.num_steps) if r.rows_before(s) >= fraction * 40_000)
        assert r.rows(step) == pytest.approx(40 + fraction * 360, abs=40)


def test_without_a_ramp_all_batches_are_full():
    r = ramp(ramp_tokens=0)
    assert r.levels == ((40, 50),) and r.rows(0) == r.rows(1000) == 40


def test_gpt3_ramp():
    """From 32k to 3.2M tokens over 4 to 12 B of 300 B tokens (appendix B; table 2.1)."""
    r = ramp(
        first_rows=16,
        rows=1600,
        ramp_tokens=12 * 10**9,
        total_tokens=300 * 10**9,
        tokens_per_row=2048,
        levels=16,
        multiple=16,
    )
    assert r.levels[0][0] * 2048 == 32_768 and r.max_rows * 2048 == 3_276_800
    assert r.rows_before(r.num_steps) * 2048 == pytest.approx(300e9, rel=1e-4)
