import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import PartitionSpec as P

from research.training import sharding
from research.training.config import run_config
from research.training.cost import Buffer, Traffic, collectives, flops, largest_buffers


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
            x, kernel, (strides, strides), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"),
            feature_group_count=groups,
        )  # fmt: skip

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
                (2, 8, 8, 4), (3, 3, 4, 6),
            )  # fmt: skip
            # Padding counts, and the gradients of a strided convolution see a little more of it.
            assert both == pytest.approx(2 * forward, rel=0.3)


def test_a_program_for_one_device_of_many_counts_for_all():
    mesh = sharding.make_mesh(run_config().mesh)
    function = jax.shard_map(
        lambda a, b: a @ b, mesh=mesh, in_specs=(P("data"), P()), out_specs=P("data")
    )
    assert count(function, (3 * mesh.size, 5), (5, 7)) == mesh.size * MATMUL


COMPILED = """HloModule jit_step, is_scheduled=true

%add (x: f32[], y: f32[]) -> f32[] {
  ROOT %sum = f32[] add(%x, %y)
}

%condition (p: (s32[], f32[4,8])) -> pred[] {
  %limit = s32[]{:T(128)} constant(6)
  %i = s32[]{:T(128)} get-tuple-element(%p), index=0
  ROOT %lt = pred[]{:T(512)} compare(%i, %limit), direction=LT
}

%body (p: (s32[], f32[4,8])) -> (s32[], f32[4,8]) {
  %ar.1 = f32[4,8]{1,0:T(8,128)} all-reduce(%x), channel_id=1, to_apply=%add
  %started = (bf16[2,8], bf16[8,8], u32[]) fusion(%w), kind=kCustom, calls=%start
  %middle = f32[4,8] fusion(%started), kind=kCustom, calls=%overlap
}

%start (p: bf16[2,8]) -> (bf16[2,8], bf16[8,8], u32[]) {
  %ag.1 = bf16[8,8]{1,0} all-gather(%p), channel_id=2, dimensions={0}
  ROOT %s = (bf16[2,8], bf16[8,8]) custom-call(%ag.1), custom_call_target="AsyncCollectiveStart"
}

%overlap (p: (bf16[2,8], bf16[8,8], u32[])) -> f32[4,8] {
  %ag.2 = bf16[8,8]{1,0} all-gather(%q), channel_id=2, dimensions={0}
}

%all-reduce-scatter.1 (p: f32[8,8]) -> f32[2,8] {
  %ar.2 = f32[8,8]{1,0} all-reduce(%p), channel_id=3, to_apply=%add
  ROOT %slice = f32[2,8] dynamic-slice(%ar.2, %i)
}

%never (p: f32[8]) -> f32[8] {
  %ar.3 = f32[8]{0} all-reduce(%p), channel_id=4, to_apply=%add
}

ENTRY %main (p: f32[8]) -> f32[8] {
  %loop = (s32[], f32[4,8]) while(%init), condition=%condition, body=%body
  %rs = f32[2,8] fusion(%g), kind=kCustom, calls=%all-reduce-scatter.1
  %pair = (f32[3]{0}, f32[5]{0}) all-reduce(%a, %b), channel_id=5, to_apply=%add
  %cp = (f32[2,8], f32[2,8], u32[], u32[]) collective-permute-start(%rs), channel_id=6
  ROOT %done = f32[2,8] collective-permute-done(%cp)
}
"""


def test_collectives_of_a_compiled_text():
    assert collectives(COMPILED) == {
        "all-gather": Traffic(6, 6 * 2 * 64),
        "all-reduce": Traffic(6 + 1, 6 * 4 * 32 + 4 * 8),
        "collective-permute": Traffic(1, 4 * 16),
        "reduce-scatter": Traffic(1, 4 * 64),
    }


def test_a_loop_whose_length_the_compiler_noted():
    text = COMPILED.replace(
        "body=%body", 'body=%body, backend_config={"known_trip_count":{"n":"9"}}'
    )
    assert collectives(text)["all-gather"].count == 9


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
