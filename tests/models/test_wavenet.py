"""The network against plain loops, its causality, its conditions, and its receptive field."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from research.models.wavenet import ContextStack, Upsampling, WaveNet
from research.papers.wavenet.probe import receptive_field

Q, C, D, S, H = 7, 5, 4, 12, 12  # so many that no ReLU hides what lies behind it
SIZES = {"bins": Q, "residual": C, "gate": D, "skip": S, "head": H}
B, T = 2, 24
SAMPLES = np.random.default_rng(0).integers(0, Q, (B, T)).astype(np.int32)
SPEAKER = np.array([1, 0], np.int32)
LOCAL = np.random.default_rng(1).normal(size=(B, 4, 2)).astype(np.float32)


@functools.cache
def network(dilations=(1, 2, 4), **options):
    """A network with all its parameters drawn, the biases too."""
    model = WaveNet(dilations=dilations, **{**SIZES, **options})
    variables = jax.jit(model.init)(jax.random.key(0), SAMPLES, SPEAKER, LOCAL)
    leaves, tree = jax.tree.flatten(variables)
    rng = np.random.default_rng(2)
    drawn = [leaf + jnp.asarray(rng.normal(0, 0.3, leaf.shape), leaf.dtype) for leaf in leaves]
    return model, jax.tree.unflatten(tree, drawn)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def plain_logits(params, samples, dilations, taps, input_taps, speaker=None, local=None):
    """Sample by sample and tap by tap: what is before the sound is nothing, in every layer."""
    params = jax.tree.map(lambda x: np.asarray(x, np.float64), params)
    total = np.zeros((B, T, S))
    x = np.zeros((B, T, C)) + params["input"]["bias"]
    for b in range(B):
        for t in range(T):
            for k in range(input_taps):
                earlier = t - 1 - (input_taps - 1 - k)  # x_t is not among its own inputs
                if earlier >= 0:
                    x[b, t] += params["input"]["kernel"][k, samples[b, earlier]]
    for i, dilation in enumerate(dilations):
        layer = params[f"layers_{i}"]
        after = x.copy()
        for b in range(B):
            for t in range(T):
                total_gate = layer["bias"].copy()
                for k in range(taps):
                    earlier = t - (taps - 1 - k) * dilation
                    if earlier >= 0:
                        total_gate += x[b, earlier] @ layer["dilated"][k]
                if speaker is not None:
                    total_gate += params["speaker_table"]["embedding"][speaker[b]] @ layer["global"]
                if local is not None:
                    total_gate += local[b, t] @ layer["local"]
                z = np.tanh(total_gate[:D]) * sigmoid(total_gate[D:])
                total[b, t] += z @ layer["to_skip"]["kernel"] + layer["to_skip"]["bias"]
                if i < len(dilations) - 1:
                    residual = layer["to_residual"]
                    after[b, t] = x[b, t] + z @ residual["kernel"] + residual["bias"]
        x = after
    for name in ("before_last", "last"):
        total = np.maximum(total, 0) @ params[name]["kernel"] + params[name]["bias"]
    return total


@pytest.mark.parametrize(("taps", "input_taps"), [(2, 2), (3, 1)])
def test_the_network_is_its_formula(taps, input_taps):
    model, variables = network(taps=taps, input_taps=input_taps)
    logits, _ = jax.jit(model.apply)(variables, SAMPLES)
    expected = plain_logits(variables["params"], SAMPLES, (1, 2, 4), taps, input_taps)
    np.testing.assert_allclose(logits, expected, atol=2e-5)


def test_conditions_are_inside_both_gates_of_every_layer():
    """V h of the speaker at all times, V y of the frames at theirs."""
    model, variables = network(speakers=3, speaker_features=4, local_features=2, strides=(2, 3))
    logits, _ = jax.jit(model.apply)(variables, SAMPLES, SPEAKER, LOCAL)
    _, upsampled = model.apply(variables, SPEAKER, LOCAL, method="conditions")
    expected = plain_logits(
        variables["params"], SAMPLES, (1, 2, 4), 2, 2, SPEAKER, np.asarray(upsampled, np.float64)
    )
    np.testing.assert_allclose(logits, expected, atol=2e-5)


def test_a_scalar_sample_is_a_number_from_minus_one_to_one():
    model, variables = network(scalar_input=True, input_taps=1)
    kernel, bias = (variables["params"]["input"][name] for name in ("kernel", "bias"))
    heard = model.bind(variables).input([jnp.array([[-1, 0, Q - 1]])])
    np.testing.assert_allclose(heard[0] - bias, np.outer([0, -1, 1], kernel[0, 0]), atol=1e-6)


def test_upsampling_begins_as_copies_of_the_nearest_frame():
    model = Upsampling((4, 4, 5))
    variables = model.init(jax.random.key(0), LOCAL)
    np.testing.assert_allclose(model.apply(variables, LOCAL), np.repeat(LOCAL, 80, 1), atol=1e-6)


@pytest.mark.parametrize("stride", [2, 5])
def test_upsampling_is_a_transposed_convolution(stride):
    rng = np.random.default_rng(0)
    kernel = rng.normal(size=(2 * stride, 2, 2))
    out = np.zeros((B, 4 * stride + stride, 2))
    for i in range(4):
        for k in range(2 * stride):
            out[:, i * stride + k] += LOCAL[:, i] @ kernel[k]
    margin = stride // 2
    found = Upsampling((stride,)).apply({"params": {"kernel_0": jnp.asarray(kernel)}}, LOCAL)
    np.testing.assert_allclose(found, out[:, margin : margin + 4 * stride], atol=1e-5)


def test_frames_learn_to_blend():
    """Every tap of the transposed convolutions gets a gradient, and moves neighbours' samples."""
    model = Upsampling((2, 3))
    variables = model.init(jax.random.key(0), LOCAL)
    weights = np.random.default_rng(3).normal(size=(B, 24, 2))
    grads = jax.grad(lambda v: jnp.sum(weights * model.apply(v, LOCAL)))(variables)
    assert all((jnp.abs(g).sum((1, 2)) > 0).all() for g in jax.tree.leaves(grads))


def fields():
    yield (1, 2, 4), 2, 2, 1 + 1 + 7
    yield (1, 2, 4, 1, 2, 4), 2, 1, 1 + 14
    yield (1, 2), 3, 2, 1 + 1 + 6
    yield (1, 1, 1), 2, 2, 1 + 1 + 3


@pytest.mark.parametrize(("dilations", "taps", "input_taps", "expected"), fields())
def test_the_receptive_field_is_the_formula_and_what_gradients_reach(
    dilations, taps, input_taps, expected
):
    model, variables = network(dilations=dilations, taps=taps, input_taps=input_taps)
    assert model.receptive_field == expected
    found = receptive_field(model, variables, jax.random.key(0), 2 * expected + 10)
    assert found == (expected, 1)


def test_the_papers_field():
    """«one block has 1024» (section 2.1), with a first filter of one tap."""
    block = tuple(2**i for i in range(10))
    assert WaveNet(dilations=block, input_taps=1).receptive_field == 1024
    assert WaveNet(dilations=block * 5).receptive_field == 1 + 1 + 5 * 1023


def test_a_context_stack_hears_whole_blocks_that_are_over():
    stack = ContextStack(Q, 4, 3, (1, 2), 2, False, jnp.float32)
    one_hot = jax.nn.one_hot(SAMPLES, Q)
    variables = stack.init(jax.random.key(0), SAMPLES)
    made = stack.apply(variables, SAMPLES)
    assert made.shape == (B, T, 3)
    np.testing.assert_allclose(made, stack.apply(variables, one_hot), atol=1e-5)
    assert (made[:, :4] == 0).all()
    for block in range(6):
        same = made[:, 4 * block : 4 * block + 4]
        np.testing.assert_array_equal(same, jnp.broadcast_to(same[:, :1], same.shape))

    jacobian = jax.jacobian(lambda x: stack.apply(variables, x)[0].sum(-1))(one_hot)[:, 0].sum(-1)
    for t in range(T):
        begin = t // 4 * 4
        heard = np.flatnonzero(np.abs(jacobian[t]) > 1e-7)
        assert heard.size == 0 or heard.max() < begin
        if t >= 16:  # one plus three blocks, where ReLUs let them through
            assert heard.min() >= begin - 16


def test_a_network_with_context_is_causal_and_hears_further():
    model, variables = network(context_factor=4, context_features=3, context_dilations=(1, 2))
    one_hot = jax.nn.one_hot(SAMPLES, Q)

    def seen(x):
        return model.apply(variables, x)[0][0, 21].sum()

    gradient = np.abs(jax.grad(seen)(one_hot))[0].sum(-1)
    (places,) = np.nonzero(gradient)
    assert places.max() == 20 and places.min() < 21 - model.receptive_field


def test_classes_of_frames_come_from_means_over_their_samples():
    model, variables = network(classes=3, strides=(2, 3), class_features=4)
    _, more = model.apply(variables, SAMPLES)
    assert more["classes"].shape == (B, 4, 3)
    head = model.bind(variables).frame_head
    x = np.random.default_rng(0).normal(size=(1, 24, S)).astype(np.float32)
    same_means = np.repeat(x.reshape(1, 4, 6, S).mean(2), 6, axis=1)
    np.testing.assert_allclose(head(x), head(same_means), atol=1e-5)
    later = np.concatenate([x[:, :18], x[:, 18:] + 1], 1)
    changed = np.abs(np.asarray(head(later) - head(x)))[0].sum(-1)
    assert changed[1] > 1e-4  # the convolutions see frames to come


def test_no_sample_is_no_input():
    """A sound that begins later is, from there on, what it is alone but for the layers' biases."""
    model, variables = network(dilations=(1,), input_taps=2)
    silent = np.concatenate([np.full((B, 6), -1, np.int32), SAMPLES[:, :6]], 1)
    heard = model.bind(variables).input([jnp.asarray(silent), jnp.asarray(silent)])
    np.testing.assert_allclose(
        heard[:, :6], jnp.broadcast_to(variables["params"]["input"]["bias"], (B, 6, C))
    )
