"""Parameter counts of the papers' networks, and what inference must not do."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from research.core.tree import count_parameters
from research.models.alphago import PolicyNetwork, PolicyValueNetwork, ValueNetwork


def parameters(model, planes, **kwargs):
    shapes = jax.eval_shape(
        lambda: model.init(jax.random.key(0), jnp.zeros((1, 19, 19, planes)), **kwargs)
    )
    return {"params": shapes["params"]}


def count(model, planes, **kwargs):
    return sum(count_parameters(parameters(model, planes, **kwargs)).values())


@pytest.mark.parametrize(("blocks", "expected"), [(19, 22_827_877), (39, 46_441_317)])
def test_alphago_zero_counts(blocks, expected):
    model = PolicyValueNetwork(blocks, 256, 256, 362)
    assert count(model, 17, train=False) == expected


def test_alphago_zero_counts_part_by_part():
    params = parameters(PolicyValueNetwork(19, 256, 256, 362), 17, train=False)["params"]
    sums = {"tower": 0, "policy": 0, "value": 0}
    for name, part in params.items():
        head = name.split("_")[0]
        sums[head if head in sums else "tower"] += sum(x.size for x in jax.tree.leaves(part))
    assert sums == {"tower": 22_472_448, "policy": 262_242, "value": 93_187}


@pytest.mark.parametrize(
    ("filters", "expected"),
    [(128, 1_777_641), (192, 3_882_793), (256, 6_798_953), (384, 15_064_297)],
)
def test_policy_network_counts(filters, expected):
    assert count(PolicyNetwork(filters), 48) == expected


def test_value_network_count():
    assert count(ValueNetwork(192), 49) == 3_980_162


def test_a_position_is_judged_alone_except_in_training():
    model = PolicyValueNetwork(1, 8, 8, 26)
    planes = jax.random.uniform(jax.random.key(1), (4, 5, 5, 5))
    variables = model.init(jax.random.key(0), planes, train=False)
    together = model.apply(variables, planes, train=False)
    alone = model.apply(variables, planes[:1], train=False)
    for x, y in zip(together, alone, strict=True):
        np.testing.assert_allclose(x[:1], y, atol=1e-5)
    trained, updated = model.apply(variables, planes, train=True, mutable=["batch_stats"])
    assert np.abs(trained[0] - together[0]).max() > 1e-3
    before, after = variables["batch_stats"], updated["batch_stats"]
    changed = jax.tree.map(lambda a, b: bool((a != b).any()), before, after)
    assert all(jax.tree.leaves(changed))
