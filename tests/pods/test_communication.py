import functools

import jax
import jax.numpy as jnp
import pytest
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P

from research.pods.communication import collectives

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


MESH = {"data": 2, "fsdp": 2}


def found(text, mesh=MESH):
    return {(t.kind, t.axis): (t.count, t.bytes, dict(t.sizes)) for t in collectives(text, mesh)}


def test_collectives_of_a_compiled_text():
    assert found(COMPILED) == {
        ("all-gather", "data x fsdp"): (6, 6 * 2 * 64, {2 * 64: 6}),
        ("all-reduce", "data x fsdp"): (6 + 1, 6 * 4 * 32 + 4 * 8, {4 * 32: 6, 4 * 8: 1}),
        ("collective-permute", "data x fsdp"): (1, 4 * 16, {4 * 16: 1}),
        ("reduce-scatter", "data x fsdp"): (1, 4 * 64, {4 * 64: 1}),
    }


def test_a_loop_whose_length_the_compiler_noted():
    text = COMPILED.replace(
        "body=%body", 'body=%body, backend_config={"known_trip_count":{"n":"9"}}'
    )
    assert found(text)["all-gather", "data x fsdp"][0] == 9


def one(collective):
    text = f"ENTRY %main (p: f32[8]) -> f32[8] {{\n  %x = {collective}\n}}\n"
    (traffic,) = collectives(text, {"data": 2, "fsdp": 1, "model": 4})
    return traffic


@pytest.mark.parametrize(
    ("groups", "axis", "devices"),
    [
        ("replica_groups={}", "data x model", 8),
        ("replica_groups={{0,1,2,3},{4,5,6,7}}", "model", 4),
        ("replica_groups={{0,4},{1,5},{2,6},{3,7}}", "data", 2),
        ("replica_groups={{0,2},{1,3},{4,6},{5,7}}", "model", 2),
        ("replica_groups={{0,5},{1,4},{2,7},{3,6}}", "data x model", 2),
        ("replica_groups=[2,4]<=[8]", "model", 4),
        ("replica_groups=[4,2]<=[2,4]T(1,0)", "data", 2),
        ("replica_groups=[1,8]<=[8]", "data x model", 8),
        ("replica_groups=[8,1]<=[8]", "none", 1),
    ],
)
def test_which_axis_devices_lie_along(groups, axis, devices):
    traffic = one(f"f32[8] all-reduce(%p), channel_id=1, {groups}, to_apply=%add")
    assert (traffic.axis, traffic.devices) == (axis, devices)


def test_pairs_of_a_permutation():
    pairs = "source_target_pairs={{0,1},{1,2},{2,3},{3,0},{4,5},{5,6},{6,7},{7,4}}"
    traffic = one(f"f32[8] collective-permute(%p), channel_id=1, {pairs}")
    assert (traffic.axis, traffic.sent) == ("model", 4 * 8)


def test_bytes_sent_round_a_ring():
    """Of n parts of an array a device passes on n - 1 to gather, and as many to scatter sums."""
    groups = "replica_groups={{0,1,2,3},{4,5,6,7}}"
    assert one(f"f32[8] all-reduce(%p), {groups}").sent == 2 * 3 / 4 * 32
    assert one(f"f32[8] all-gather(%p), {groups}").sent == 3 / 4 * 32
    scattered = one(f"f32[8] reduce-scatter(%p), {groups}")  # its result is a quarter
    assert (scattered.bytes, scattered.sent) == (4 * 32, 3 / 4 * 4 * 32)


@pytest.mark.skipif(jax.device_count() < 4, reason="needs four devices: JAX_NUM_CPU_DEVICES=4")
def test_a_program_of_this_machine():
    mesh = jax.make_mesh((2, 2), ("data", "model"), devices=jax.devices()[:4])
    shape = functools.partial(jax.ShapeDtypeStruct, dtype=jnp.float32)
    split = NamedSharding(mesh, P("data", "model"))
    summed = jax.jit(lambda x: x.sum(1), out_shardings=NamedSharding(mesh, P("data")))
    text = summed.lower(shape((64, 8), sharding=split)).compile().as_text()
    (traffic,) = collectives(text, dict(mesh.shape))
    assert (traffic.kind, traffic.axis, traffic.bytes) == ("all-reduce", "model", 4 * 32)
