"""What policies with a demonstration must and must not depend on."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from research.papers.one_shot_imitation.policies import (
    AttentionPolicy,
    DilatedConv,
    RecurrentPolicy,
)
from research.papers.one_shot_imitation.scenes import Demonstration, Scene

N, K, Q, P, R = 2, 6, 3, 2, 3
ATTENTION = AttentionPolicy(4, 8, (1, 2), 2, 4, 2, 3, (16,))
POLICIES = {
    "attention": ATTENTION,
    "lstm": RecurrentPolicy(4, 8, False, (16,)),
    "lstm_attention": RecurrentPolicy(4, 8, True, (16,)),
}


def inputs(things=4, frames=K, seed=0):
    """The last thing is not there; the second demonstration is two frames shorter."""
    rng = np.random.default_rng(seed)

    def scene(*size):
        present = np.ones((*size, things), bool)
        present[..., -1] = False
        places = rng.normal(size=(*size, things, P)) * present[..., None]
        return Scene(rng.normal(size=(*size, R)), places, present)

    valid = np.arange(frames) < np.array([frames, frames - 2])[:, None]
    return Demonstration(scene(N, frames), valid), scene(N, Q)


@functools.partial(jax.jit, static_argnums=(0, 4))
def apply(policy, variables, demonstration, scene, method=None):
    args = (demonstration,) if method == "embed" else (demonstration, scene)
    return policy.apply(variables, *args, method=method)


def initialized(policy, *args):
    """With biases and all else away from zero."""
    variables = jax.jit(policy.init)(jax.random.key(0), *args)
    leaves, tree = jax.tree.flatten(variables)
    keys = jax.random.split(jax.random.key(1), len(leaves))
    return tree.unflatten(
        [x + 0.3 * jax.random.normal(k, x.shape) for x, k in zip(leaves, keys, strict=True)]
    )


@pytest.mark.parametrize(("things", "frames"), [(4, 6), (7, 11)])
def test_the_context_has_one_size_and_the_weights_are_right(things, frames):
    variables = initialized(ATTENTION, *inputs())
    demonstration, scene = inputs(things, frames)
    action, found = apply(ATTENTION, variables, demonstration, scene)
    assert action.shape == (N, Q, 4) and found["context"].shape == (N, Q, 3 * P)
    assert found["over_time"].shape == (N, Q, frames, 2)
    assert found["over_things"].shape == (N, Q, things, 3)
    for weights in (found["over_time"], found["over_things"]):
        np.testing.assert_allclose(weights.sum(axis=2), 1, atol=1e-5)
    assert not found["over_things"][:, :, -1].any()  # it is not there
    assert not found["over_time"][1, :, -2:].any()  # after the demonstration's end


@pytest.mark.parametrize("name", POLICIES)
def test_padding_of_demonstrations_and_absent_things_do_not_matter(name):
    policy, (demonstration, scene) = POLICIES[name], inputs()
    variables = initialized(policy, demonstration, scene)
    expected, _ = apply(policy, variables, demonstration, scene)

    def spoiled(x):
        x = np.array(x)
        x[1, -2:] = 5.0 if x.dtype != bool else False
        return x

    other = demonstration._replace(scenes=jax.tree.map(spoiled, demonstration.scenes))
    got, _ = apply(policy, variables, other, scene)
    np.testing.assert_allclose(got, expected, atol=1e-5)
    changed = np.array(demonstration.scenes.robot)
    changed[0, -1] += 1.0  # a frame that counts
    other = demonstration._replace(scenes=demonstration.scenes._replace(robot=changed))
    assert np.abs(apply(policy, variables, other, scene)[0][0] - expected[0]).max() > 1e-4


def test_other_order_of_things_same_action():
    """Weights over things change places with them; so do embeddings."""
    demonstration, scene = inputs()
    variables = initialized(ATTENTION, demonstration, scene)
    order = np.array([2, 3, 0, 1])

    def moved(x):
        return Scene(x.robot, x.things[..., order, :], x.present[..., order])

    action, found = apply(ATTENTION, variables, demonstration, scene)
    other = Demonstration(moved(demonstration.scenes), demonstration.valid)
    same, there = apply(ATTENTION, variables, other, moved(scene))
    np.testing.assert_allclose(same, action, atol=1e-5)
    np.testing.assert_allclose(there["over_things"], found["over_things"][:, :, order], atol=1e-5)
    np.testing.assert_allclose(there["over_time"], found["over_time"], atol=1e-5)
    embeddings = [apply(ATTENTION, variables, d, scene, "embed")[0] for d in (demonstration, other)]
    np.testing.assert_allclose(embeddings[1], embeddings[0][:, :, order], atol=1e-5)
    # In the current scene alone it is another task.
    mixed, _ = apply(ATTENTION, variables, demonstration, moved(scene))
    assert np.abs(mixed - action).max() > 1e-4


def test_an_lstm_reads_a_demonstration_step_by_step():
    """What it makes of frames one after the other is what it makes of them at once."""
    policy, (demonstration, scene) = POLICIES["lstm"], inputs()
    variables = initialized(policy, demonstration, scene)
    state = apply(policy, variables, demonstration, scene, "embed")
    cell = variables["params"]["lstm"]["cell"]
    c = h = np.zeros((1, 8))
    present = demonstration.scenes.present[1, :, :, None]
    things = np.concatenate([demonstration.scenes.things[1], present], axis=-1)
    for t in range(K - 2):
        x = np.concatenate([demonstration.scenes.robot[1, t], things[t].ravel()])[None]
        i, f, g, o = (
            x @ cell["i" + gate]["kernel"]
            + h @ cell["h" + gate]["kernel"]
            + cell["h" + gate]["bias"]
            for gate in "ifgo"
        )
        sigmoid = lambda z: 1 / (1 + np.exp(-z))  # noqa: E731
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
    np.testing.assert_allclose(state[1], h[0], atol=1e-5)


def test_a_dilated_convolution_equals_a_loop():
    x = np.random.default_rng(0).normal(size=(N, K, 2, 3))
    conv = DilatedConv(5, 2)
    variables = conv.init(jax.random.key(0), x)
    kernel = np.asarray(variables["params"]["Dense_0"]["kernel"]).reshape(3, 3, 5)
    expected = np.zeros((N, K, 2, 5))
    for t in range(K):
        for tap in range(3):
            s = t + (tap - 1) * 2
            if 0 <= s < K:
                expected[:, t] += x[:, s] @ kernel[tap]
    np.testing.assert_allclose(conv.apply(variables, jnp.array(x)), expected, atol=1e-5)
