import jax.numpy as jnp
import numpy as np
import pytest

from research.training.digest import digest


@pytest.mark.parametrize(
    "dtype", ["float32", "bfloat16", "float16", "uint8", "int8", "int32", "uint32", "bool"]
)
def test_any_changed_bit_changes_it(dtype):
    random = np.random.default_rng(0)
    bits = random.integers(0, 2 if dtype == "bool" else 256, 64, np.uint8)
    value = bits.view(bool) if dtype == "bool" else bits.view(jnp.dtype(dtype))
    before = digest({"x": jnp.asarray(value)})["x"]
    for byte in range(0, 64, 7):
        for bit in range(1 if dtype == "bool" else 8):
            changed = bits.copy()
            changed[byte] ^= 1 << bit
            assert digest({"x": jnp.asarray(changed.view(value.dtype))})["x"] != before


def test_complex_numbers_and_scalars():
    z = jnp.asarray([1 + 2j, 3 - 4j], jnp.complex64)
    assert digest({"z": z})["z"] != digest({"z": z.conj()})["z"]
    assert digest({"n": jnp.int32(5)}) != digest({"n": jnp.int32(6)})


def test_zero_and_minus_zero_and_nan_have_bits_too():
    a, b = digest({"a": jnp.float32(0.0), "b": jnp.float32(-0.0)}).values()
    assert a != b
    assert digest({"x": jnp.float32(jnp.nan)}) == digest({"x": jnp.float32(jnp.nan)})


def test_changes_do_not_cancel():
    x = np.random.default_rng(1).normal(size=(5, 8)).astype(np.float32)
    first, second = digest({"a": jnp.asarray(x), "b": jnp.asarray(-x)}).values()
    assert first != second


def test_the_order_of_words_does_not_matter():
    """So that devices may sum their own parts."""
    x = np.random.default_rng(1).normal(size=64).astype(np.float32)
    first, second = digest({"a": jnp.asarray(x), "b": jnp.asarray(x[::-1])}).values()
    assert first == second
