import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import PartitionSpec as P

from research.pods.cost import Buffer, flops, largest_buffers
from research.training import sharding
from research.training.run_config import run_config


def count(function, *shapes):
    shapes = [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in shapes]
    return flops(jax.jit(function).trace(*shapes).jaxpr.jaxpr)


MATMUL = 2 * 3 * 5 * 7


@pytest.mark.parametrize(
    ("function", "shapes", "expected"),
    [
        (lambda a, b: a @ b, [(3, 5), (5, 7)], MATMUL),
        (lambda a, b: jnp.tanh(a) @ b + 1, [(3, 5), (5, 7)], MATMUL),
        (lambda a, b: jnp.einsum("bij,bjk->bik", a, b), [(4, 3, 5), (4, 5, 7)], 4 * MATMUL),
        (lambda a, b: jax.vmap(jnp.dot, (0, None))(a, b), [(4, 3, 5), (5, 7)], 4 * MATMUL),
        (lambda a, b: jax.checkpoint(jnp.dot)(a, b), [(3, 5), (5, 7)], MATMUL),
        # Both gradients of a product cost as much as the product.
        (jax.grad(lambda a, b: jnp.sum((a @ b) ** 2), (0, 1)), [(3, 5), (5, 7)], 3 * MATMUL),
    ],
)
def test_matrix_products(function, shapes, expected):
    assert count(function, *shapes) == expected


def test_loops_count_as_often_as_they_run():
    def layers(x, ws):
        return jax.lax.scan(lambda x, w: (x @ w, None), x, ws)[0]

    assert count(layers, (3, 5), (6, 5, 5)) == 6 * 2 * 3 * 5 * 5
    assert count(lambda x, w: jax.lax.fori_loop(0, 6, lambda _, x: x @ w, x), (5, 5), (5, 5)) == (
        6 * 2 * 5 * 5 * 5
    )


def test_of_a_branch_the_most_expensive_side():
    def branch(x):
        return jax.lax.cond(x[0, 0] > 0, lambda x: x @ x, lambda x: x, x)

    assert count(branch, (5, 5)) == 2 * 5**3


def test_convolutions_and_their_gradients():
    def conv(x, kernel, strides=1, groups=1):
        return jax.lax.conv_general_dilated(
            x,
            kernel,
            (strides, strides),
            "SAME",
            dimension_numbers=("NHWC", "HWIO", "NHWC"),
            feature_group_count=groups,
        )

    once = 2 * (2 * 8 * 8 * 6) * (3 * 3 * 4)
    assert count(conv, (2, 8, 8, 4), (3, 3, 4, 6)) == once
    strided = lambda x, k: conv(x, k, 2)  # noqa: E731
    assert count(strided, (2, 8, 8, 4), (3, 3, 4, 6)) == once / 4
    grouped = lambda x, k: conv(x, k, groups=2)  # noqa: E731
    assert count(grouped, (2, 8, 8, 4), (3, 3, 2, 6)) == once / 2
    for function in (conv, strided):
        forward = count(function, (2, 8, 8, 4), (3, 3, 4, 6))
        for of in (0, 1):
            both = count(
                jax.grad(lambda x, k, f=function: jnp.sum(f(x, k) ** 2), of),
                (2, 8, 8, 4),
                (3, 3, 4, 6),
            )
            # Padding counts, and the gradients of a strided convolution see a little more of it.
            assert both == pytest.approx(2 * forward, rel=0.3)


def test_a_program_for_one_device_of_many_counts_for_all():
    mesh = sharding.make_mesh(run_config().mesh)
    function = jax.shard_map(
        lambda a, b: a @ b, mesh=mesh, in_specs=(P("data"), P()), out_specs=P("data")
    )
    assert count(function, (3 * mesh.size, 5), (5, 7)) == mesh.size * MATMUL


def test_largest_buffers_of_xlas_notes(tmp_path):
    (tmp_path / "m.after_optimizations-buffer-assignment.txt").write_text(
        "BufferAssignment:\n"
        "allocation 0: size 64, parameter 0, shape |f32[16]|:\n"
        " value: <1 p @0> (size=64,offset=0): f32[16]{0:T(128)}\n"
        "allocation 1: size 512, preallocated-temp:\n"
        " value: <2 fusion.1{} @0> (size=8,offset=256): (f32[64]{0}, f32[])\n"
        " value: <3 fusion.1{0} @0> (size=256,offset=0): f32[64]{0:T(128)}\n"
        " value: <4 again @0> (size=128,offset=0): f32[32]{0:T(128)}\n"
        " value: <5 fast @0> (size=4096,offset=0): f32[1024]{0:T(128)S(1)}\n"
    )
    (tmp_path / "m.after_optimizations-buffer-assignment-values.txt").write_text(
        " from instruction: %p = f32[16] parameter(0), metadata={op_name=\"params[\\'w\\']\"}\n"
        ' from instruction: %fusion.1 = f32[64] fusion(%p), metadata={op_name="step/tanh"}\n'
    )
    assert largest_buffers(tmp_path, 2) == [
        Buffer(256, "f32[64]", "step/tanh"),
        Buffer(64, "f32[16]", "params['w']"),
    ]


def test_numbers_agree_with_xla_for_one_product():
    shapes = [jax.ShapeDtypeStruct(s, jnp.float32) for s in ((64, 32), (32, 16))]
    traced = jax.jit(jnp.dot).trace(*shapes)
    counted = traced.lower().compile().cost_analysis()["flops"]
    np.testing.assert_allclose(flops(traced.jaxpr.jaxpr), counted, rtol=0.05)
