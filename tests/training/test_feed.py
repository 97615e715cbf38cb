import jax
import numpy as np
import pytest

from research.core.errors import UserError
from research.core.partition import BATCH_SPEC
from research.training import sharding
from research.training.feed import Feed
from tests.training.toy import FEATURES, ROWS, Numbers, settings

MESH = sharding.make_mesh(settings().mesh)


def feed(source, steps_per_call=1):
    spec = BATCH_SPEC
    if steps_per_call > 1:
        spec = jax.sharding.PartitionSpec(None, *spec)
    return Feed(source, jax.sharding.NamedSharding(MESH, spec), steps_per_call)


def expected(t):
    return np.random.default_rng(t).normal(size=(ROWS, FEATURES)).astype(np.float32)


def test_batches_come_in_order_and_on_the_mesh():
    f = feed(Numbers())
    for t in range(3):
        batch = f.take(1, None)["x"]
        assert batch.sharding == f.sharding
        np.testing.assert_array_equal(batch, expected(t))


def test_a_dispatch_of_several_steps_is_stacked():
    f = feed(Numbers(), 4)
    batch = f.take(4, None)["x"]
    assert batch.shape == (4, ROWS, FEATURES)
    np.testing.assert_array_equal(batch, [expected(t) for t in range(4)])
    np.testing.assert_array_equal(f.take(2, None)["x"][:2], [expected(t) for t in (4, 5)])
    np.testing.assert_array_equal(f.take(1, None)["x"][:1], [expected(6)])


@pytest.mark.parametrize("steps_per_call", [1, 3])
def test_the_position_is_that_of_what_was_taken(steps_per_call):
    """What was only read ahead is read again after a resume."""
    source = Numbers()
    f = feed(source, steps_per_call)
    f.prepare(steps_per_call, None)
    assert f.position == {"index": 0}
    f.take(steps_per_call, None)
    f.prepare(steps_per_call, None)
    assert source.index == 2 * steps_per_call
    assert f.position == {"index": steps_per_call}

    again = Numbers()
    again.set_state(f.position)
    resumed = feed(again, steps_per_call).take(steps_per_call, None)["x"]
    np.testing.assert_array_equal(resumed, f.take(steps_per_call, None)["x"])


def test_reading_ahead_reads_nothing_twice():
    source = Numbers()
    f = feed(source)
    for _ in range(5):
        f.take(1, None)
        f.prepare(1, None)
    assert source.read == list(range(6))


def test_the_state_is_handed_to_the_source():
    class Actor(Numbers):
        def __call__(self, state):
            self.seen = state
            return super().__call__(state)

    source = Actor(prefetch=0)
    feed(source).take(1, "the state")
    assert source.seen == "the state"


def test_batches_of_several_shapes_cannot_be_stacked():
    with pytest.raises(UserError, match="steps_per_call=1"):
        feed(Numbers(rows=(16, 8)), 2).take(2, None)
