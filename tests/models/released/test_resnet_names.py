"""Released ResNets: equal to what torchvision makes of the same weights."""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from research.core.errors import UserError
from research.models.released.resnet_names import released_variables
from research.models.resnet import ResNet
from tests.models.released.drawn import drawn

RECORDED = json.loads(Path(__file__).with_name("recorded.json").read_text("utf-8"))


def model(depth, **changes):
    return ResNet(f"imagenet{depth}", num_classes=5, **{"stride_in": "3x3", **changes})


def arrays(depth):
    return drawn(RECORDED[f"resnet{depth}"]["shapes"])


@pytest.mark.parametrize("depth", [18, 50])
def test_logits_are_those_of_torchvision(depth):
    variables = released_variables(model(depth), arrays(depth))
    images = np.random.default_rng(0).standard_normal((2, 3, 64, 64)).astype(np.float32)
    found, _ = model(depth).apply(variables, images.transpose(0, 2, 3, 1), train=False)
    expected = np.array(RECORDED[f"resnet{depth}"]["outputs"])
    np.testing.assert_allclose(found, expected, atol=1e-4 * np.abs(expected).max())


def test_all_variables_are_there():
    images = jnp.zeros((1, 64, 64, 3))
    shapes = jax.eval_shape(lambda: model(50).init(jax.random.key(0), images, train=False))
    found = released_variables(model(50), arrays(50))
    assert jax.tree.map(np.shape, found) == jax.tree.map(lambda x: x.shape, shapes)


def test_other_names_are_not_its_business():
    assert released_variables(model(18), {"learner/params/a": np.ones(2)}) is None


@pytest.mark.parametrize(
    ("depth", "changes", "more", "said"),
    [
        (50, {"stride_in": "1x1"}, {}, "stride_in='3x3'"),
        (18, {"shortcut": "A"}, {}, "shortcut='B'"),
        (34, {}, {}, "2, 2, 2, 2 of them by stage; model.variant='imagenet34' has others"),
        (18, {}, {"layer1.0.se.weight": np.ones(2)}, "layer1.0.se.weight is no name"),
        (18, {}, {"conv2.weight": np.ones((1, 1, 1, 1))}, "conv2.weight is no name"),
    ],
)
def test_what_does_not_fit_is_refused(depth, changes, more, said):
    with pytest.raises(UserError, match=said):
        released_variables(model(depth, **changes), {**arrays(18 if depth < 50 else 50), **more})
