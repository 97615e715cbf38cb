"""`conv2d` on this machine's backend against `lax.conv_general_dilated`, alone and inside a scan.

One round is forward and both gradients, four times over. The rows of a group differ only in how the
convolution is written: "ours" should match the best of its group, inside and outside of the scan.
"""

import jax
import jax.numpy as jnp
import pytest
from jax import lax

from research.nn.conv import conv2d

LAYERS = {  # batch, side, channels, kernel, stride, features
    "minatar": (32, 10, 4, 3, 1, 16),
    "nature_dqn_first": (32, 84, 4, 8, 4, 32),
    "resnet_cifar": (128, 16, 16, 3, 1, 16),
    "dcgan_second": (64, 16, 32, 5, 2, 64),
}


def plain(x, kernel, strides):
    return lax.conv_general_dilated(
        x, kernel, (strides, strides), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC")
    )


@pytest.mark.parametrize("place", ["alone", "scan"])
@pytest.mark.parametrize("written", ["ours", "plain"])
@pytest.mark.parametrize("layer", LAYERS)
def test_convolution(benchmark, layer, written, place):
    batch, side, channels, size, strides, features = LAYERS[layer]
    function = conv2d if written == "ours" else plain
    x = jax.random.normal(jax.random.key(0), (batch, side, side, channels))
    kernel = jax.random.normal(jax.random.key(1), (size, size, channels, features)) / 10

    def step(x, kernel):
        loss = lambda x, kernel: jnp.mean(function(x, kernel, strides) ** 2)  # noqa: E731
        dx, dkernel = jax.grad(loss, (0, 1))(x, kernel)
        return x - dx, kernel - dkernel

    def scanned(x, kernel):
        return lax.scan(lambda carry, _: (step(*carry), None), (x, kernel), length=4)[0]

    single = jax.jit(step)

    def repeated(x, kernel):
        for _ in range(4):
            x, kernel = single(x, kernel)
        return x, kernel

    run = jax.jit(scanned) if place == "scan" else repeated
    jax.block_until_ready(run(x, kernel))
    benchmark.group = f"{layer}, {place}"
    benchmark.pedantic(lambda: jax.block_until_ready(run(x, kernel)), rounds=5, warmup_rounds=1)
