"""Four workers against one device. The numbers are made in a process of its own, which has four."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
if __name__ == "__main__":
    sys.path[:0] = [str(ROOT)]

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402
from jax import lax  # noqa: E402
from jax.sharding import PartitionSpec as P  # noqa: E402

from research.core.errors import UserError  # noqa: E402
from research.models.alexnet import Head  # noqa: E402
from research.papers.one_weird_trick import hybrid_parallel  # noqa: E402
from research.papers.one_weird_trick.class_parallel import LOSSES  # noqa: E402
from research.papers.one_weird_trick.hybrid_parallel import SCHEMES, Hybrid, head_rules  # noqa: E402

IMAGES, PIXELS, UNITS, CLASSES, WORKERS, RATE = 32, 6, 8, 10, 4, 0.5
KEY = jax.random.key(0)
X = jax.random.normal(jax.random.fold_in(KEY, 1), (IMAGES, PIXELS))
Y = jnp.arange(IMAGES) % CLASSES
TRUNK = {"w": jax.random.normal(jax.random.fold_in(KEY, 2), (PIXELS, UNITS))}
HEAD = Head("small", CLASSES, outputs_multiple=4, dropout=0.5)
FC = HEAD.init(KEY, jnp.zeros((1, UNITS)))["params"]


def trunk(params, x):
    return jnp.tanh(x @ params["w"])


def head_loss(model, name, params, x, y, ids):
    """The dropout of an image follows from its number, wherever it is computed."""
    keys = jax.vmap(lambda i: jax.random.fold_in(KEY, i))(ids)
    return LOSSES[name](model.apply({"params": params}, x, keys), y, model.axis).mean()


def reference(name):
    """Loss and gradients by `jax.grad` of the whole network on one device."""

    def loss(trunk_params, fc):
        return head_loss(HEAD, name, fc, trunk(trunk_params, X), Y, jnp.arange(IMAGES))

    return jax.jit(jax.value_and_grad(loss, (0, 1)))(TRUNK, FC)


def by_workers(scheme, name="softmax", kind=Hybrid):
    """The same by four workers."""

    @jax.jit
    def run(trunk_params, fc, x, y):
        hybrid = kind(scheme)
        model = HEAD.clone(**hybrid.split_units())
        activations, backward = hybrid.trunk(trunk, trunk_params, x)
        (loss, _), of_head, gradient = hybrid.head(
            lambda *args: (head_loss(model, name, *args), {}),
            fc,
            activations,
            y,
            jnp.zeros_like(activations),
        )
        return loss, (backward(gradient), of_head)

    return run(TRUNK, FC, X, Y)


def difference(got, expected):
    """The largest, of the loss and of every array relative to its largest element."""
    pairs = zip(jax.tree.leaves(got), jax.tree.leaves(expected), strict=True)
    return max(float(abs(np.asarray(a) - b).max() / abs(b).max()) for a, b in pairs)


def rows(scheme, updates, update):
    """The images of an update: every `updates`-th in scheme c, one after the other in b."""
    everything = np.arange(IMAGES)
    return everything[update::updates] if scheme == "c" else np.split(everything, updates)[update]


def in_updates(scheme, updates):
    """Fully-connected weights, and gradient of the convolutions, after one variable batch."""

    @jax.jit
    def run(trunk_params, fc, x, y):
        hybrid = Hybrid(scheme, updates)
        model = HEAD.clone(**hybrid.split_units())
        activations, backward = hybrid.trunk(trunk, trunk_params, x)
        gradient = jnp.zeros_like(activations)
        for update in range(updates):
            _, of_head, gradient = hybrid.head(
                lambda *args: (head_loss(model, "softmax", *args), {}),
                fc,
                activations,
                y,
                gradient,
                update,
            )
            fc = jax.tree.map(lambda p, g: p - RATE * g, fc, of_head)
        return fc, backward(gradient / updates)

    return run(TRUNK, FC, X, Y)


def one_after_the_other(scheme, updates, stale=False):
    """The same on one device. `stale`: no update sees the weights that the one before has left."""
    activations, backward = jax.vjp(lambda p: trunk(p, X), TRUNK)
    fc, gradient = FC, np.zeros(activations.shape, np.float32)
    for update in range(updates):
        ids = rows(scheme, updates, update)
        of_head, of_rows = jax.jit(
            jax.grad(lambda fc, x, ids: head_loss(HEAD, "softmax", fc, x, Y[ids], ids), (0, 1))
        )(FC if stale else fc, activations[ids], jnp.array(ids))
        fc = jax.tree.map(lambda p, g: p - RATE * g, fc, of_head)
        gradient[ids] = of_rows
    return fc, *backward(jnp.array(gradient) / updates)


class NotSummed(Hybrid):
    """Each worker takes its own share of the activations' gradient for the whole."""

    def _give_back(self, gradient, sent, r, rounds):
        return lax.dynamic_slice_in_dim(sent, lax.axis_index("data") * len(gradient), len(gradient))


class TimesK(Hybrid):
    """The mean over workers forgotten."""

    def _give_back(self, gradient, sent, r, rounds):
        return WORKERS * super()._give_back(gradient, sent, r, rounds)


def measure():
    mesh = jax.make_mesh(
        (WORKERS, 1, 1), ("data", "fsdp", "model"), axis_types=(jax.sharding.AxisType.Auto,) * 3
    )
    found = {}
    softmax, logistic = reference("softmax"), reference("logistic")
    with jax.set_mesh(mesh):
        for scheme in SCHEMES:
            found[scheme] = difference(by_workers(scheme), softmax)
        found["logistic"] = difference(by_workers("c", "logistic"), logistic)
        found["not summed"] = difference(by_workers("a", kind=NotSummed), softmax)
        found["times K"] = difference(by_workers("a", kind=TimesK), softmax)
        for scheme, updates in (("b", 4), ("c", 4), ("c", 2), ("b", 8)):
            got = jax.device_get(in_updates(scheme, updates))
            found[f"{scheme}, {updates} updates"] = difference(
                got, one_after_the_other(scheme, updates)
            )
        found["stale"] = difference(
            jax.device_get(in_updates("c", 4)), one_after_the_other("c", 4, stale=True)
        )
    return found


@pytest.fixture(scope="module")
def numbers():
    done = subprocess.run(
        [sys.executable, __file__],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "JAX_NUM_CPU_DEVICES": str(WORKERS)},
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("scheme", [*SCHEMES, "logistic"])
def test_gradients_are_those_of_one_device(scheme, numbers):
    assert numbers[scheme] < 1e-5


@pytest.mark.parametrize("broken", ["not summed", "times K"])
def test_a_missing_sum_or_mean_shows(broken, numbers):
    assert numbers[broken] > 0.1


@pytest.mark.parametrize("case", ["b, 4 updates", "c, 4 updates", "c, 2 updates", "b, 8 updates"])
def test_variable_batch_is_one_update_after_the_other(case, numbers):
    """Fewer, as many and more updates than workers."""
    assert numbers[case] < 1e-5


def test_weights_that_are_not_passed_on_show(numbers):
    assert numbers["stale"] > 1e-2


def test_without_a_mesh_there_is_one_worker():
    assert difference(by_workers("c"), reference("softmax")) < 1e-6
    assert hybrid_parallel.num_workers() == 1


def test_only_rounds_allow_several_updates():
    with pytest.raises(UserError, match="scheme a has no rounds"):
        Hybrid("a", updates=2)
    with pytest.raises(UserError, match="scheme is a, b, c, data"):
        Hybrid("d")
    with pytest.raises(UserError, match="3 updates of the fully-connected weights"):
        jax.eval_shape(lambda: in_updates("c", 3))


def test_units_of_the_head_are_split_and_nothing_else():
    rules = dict(head_rules("a"))
    assert set(rules.values()) == {P(None, "data"), P("data")}
    assert head_rules("data") == ()


if __name__ == "__main__":
    print(json.dumps(measure()))
