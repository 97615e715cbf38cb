"""The convolutions of LPIPS: counts, channels of the taps, and a network written out."""

import jax
import numpy as np
import pytest

from research.models import lpips
from tests.plain_layers import conv, max_pool, relu


@pytest.mark.parametrize(
    ("network", "parameters", "channels"),
    [
        ("vgg16", 14_714_688, (64, 128, 256, 512, 512)),
        ("alexnet", 2_469_696, (64, 192, 384, 256, 256)),
    ],
)
def test_parameters_and_taps(network, parameters, channels):
    taps, variables = jax.eval_shape(
        lpips.Taps(lpips.STAGES[network]).init_with_output,
        jax.random.key(0),
        jax.ShapeDtypeStruct((2, 67, 67, 3), np.float32),
    )
    assert sum(x.size for x in jax.tree.leaves(variables)) == parameters
    assert tuple(tap.shape[-1] for tap in taps) == channels
    sides = {"vgg16": (67, 33, 16, 8, 4), "alexnet": (16, 7, 3, 3, 3)}[network]
    assert tuple(tap.shape[1] for tap in taps) == sides  # pools are of whole windows


def test_alexnet_is_its_convolutions_written_out():
    rng, arrays, channels = np.random.default_rng(0), {}, 3
    sizes = {0: (2, 11), 3: (3, 5), 6: (4, 3), 8: (3, 3), 10: (2, 3)}
    for j, (count, side) in sizes.items():
        arrays[f"features.{j}.weight"] = rng.normal(size=(count, channels, side, side))
        arrays[f"features.{j}.bias"] = rng.normal(size=count)
        channels = count
    x = images = rng.normal(size=(1, 64, 64, 3))
    expected = []
    for j, stride, pad in ((0, 4, 2), (3, 1, 2), (6, 1, 1), (8, 1, 1), (10, 1, 1)):
        if j in (3, 6):
            x = max_pool(x, 3, 2)
        kernel = arrays[f"features.{j}.weight"].transpose(2, 3, 1, 0)
        x = relu(conv(x, kernel, stride, ((pad, pad),) * 2) + arrays[f"features.{j}.bias"])
        expected.append(x)
    stages = tuple(
        stage._replace(channels=(count,))
        for stage, (count, _) in zip(lpips.STAGES["alexnet"], sizes.values(), strict=True)
    )
    params = lpips.released_params("alexnet", arrays)
    found = lpips.Taps(stages).apply({"params": params}, np.float32(images))
    for tap, plain in zip(found, expected, strict=True):
        np.testing.assert_allclose(tap, plain, rtol=1e-3, atol=1e-4 * np.abs(plain).max())
