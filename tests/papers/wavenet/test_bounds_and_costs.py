"""What is known without a network, and what generation costs."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.stats import laplace

from research.data.audio import mu_law
from research.models.wavenet import WaveNet
from research.papers.wavenet import bounds
from research.papers.wavenet.costs import costs


def multiply_adds(jaxpr):
    """Of all matrix products of a program, loops counted as often as they run."""
    total = 0
    for equation in jaxpr.eqns:
        if equation.primitive.name == "dot_general":
            (contracted, _), _ = equation.params["dimension_numbers"]
            left, right = (v.aval.shape for v in equation.invars)
            assert len(contracted) == 1
            total += int(np.prod(left)) * int(np.prod(right)) // left[contracted[0]]
        for value in equation.params.values():
            inner = getattr(value, "jaxpr", None)
            if inner is not None:
                total += equation.params.get("length", 1) * multiply_adds(inner)
    return total


@pytest.mark.parametrize(
    "options",
    [
        {"dilations": (1, 2, 4)},
        {"dilations": (1, 2), "taps": 3, "scalar_input": True, "skip": 7, "head": 9},
    ],
)
def test_a_step_costs_what_its_program_multiplies(options):
    model = WaveNet(bins=16, residual=4, gate=6, **options)
    variables = jax.jit(model.init)(jax.random.key(0), jnp.zeros((1, 8), jnp.int32))
    apply = functools.partial(model.apply, variables)
    offsets, _ = apply(None, None, method="conditions")
    queues = apply(1, method="initial_queues")
    step = jax.make_jaxpr(lambda q, x: apply(q, x, jnp.int32(3), offsets, None, method="step"))
    found = costs(model)
    assert multiply_adds(step(queues, jnp.zeros(1, jnp.int32)).jaxpr) == found.queues
    whole = jax.make_jaxpr(apply)(jnp.zeros((1, model.receptive_field), jnp.int32))
    assert multiply_adds(whole.jaxpr) == found.window


def test_without_queues_a_block_is_a_binary_tree():
    """One block of dilations 1 ... 2^(L-1): 2^(L-i) values of layer i are needed (Paine et al.)."""
    layers = 6
    model = WaveNet(bins=8, residual=1, gate=1, skip=1, head=1, dilations=(1, 2, 4, 8, 16, 32))
    gates, residual, skip, output = 2 * 2, 1, 1, 1 + 8
    nodes = [2 ** (layers - 1 - i) for i in range(layers)]
    expected = sum(n * (gates + residual) for n in nodes) - residual + layers * skip + output
    assert costs(model).needed == expected
    assert costs(model).queues == layers * (gates + residual + skip) - residual + output


def test_two_blocks_share_what_they_need():
    """Times that both blocks ask for are counted once."""
    block = (1, 2, 4, 8)
    model = WaveNet(bins=8, residual=1, gate=1, skip=1, head=1, dilations=block * 2)
    assert costs(model).needed < 2**8 * 5 and costs(model).needed <= costs(model).window


def noise_through_a_filter(count, size, seed):
    rng = np.random.default_rng(seed)
    clips = []
    for _ in range(count):
        sound = np.zeros(size + 2)
        for t in range(2, size + 2):
            sound[t] = 1.6 * sound[t - 1] - 0.9 * sound[t - 2] + 0.02 * rng.laplace()
        clips.append(np.clip(sound[2:], -1, 1))
    return clips


def test_linear_prediction_finds_a_filter():
    """Its nats are those of the errors that the sound was made from."""
    bins = 256
    sounds = noise_through_a_filter(4, 1500, 0)
    train, test = sounds[:2], sounds[2:]
    found = bounds.linear_prediction_loss(
        [mu_law.encode(s, bins) for s in train], [mu_law.encode(s, bins) for s in test], bins, 4
    )
    edges = np.concatenate([[-np.inf], mu_law.edges(bins), [np.inf]])
    nats = []
    for sound in test:
        before = np.concatenate([[0, 0], sound])
        mean = 1.6 * before[1:-1] - 0.9 * before[:-2]
        q = mu_law.encode(sound, bins)
        share = laplace.cdf(edges[q + 1], mean, 0.02) - laplace.cdf(edges[q], mean, 0.02)
        nats.append(-np.log(share))
    truth = float(np.mean(np.concatenate(nats)))
    assert truth < found < truth + 0.25
    assert found < np.log(bins) - 1


def test_counts_of_single_values_are_their_entropy():
    clip = np.repeat([0, 1, 2], [600, 300, 100])
    found = bounds.count_losses([clip], [clip], (1, 2), 4)
    share = np.array([0.6, 0.3, 0.1])
    assert found[1] == pytest.approx(-(share * np.log(share)).sum(), abs=0.01)
    assert found[2] < 0.1  # long runs
