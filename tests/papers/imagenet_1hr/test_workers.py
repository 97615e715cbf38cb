"""Workers' gradients, with real communication between eight simulated devices."""

import functools
import os
import subprocess
import sys

import flax.linen as nn
import jax
import numpy as np
import optax

from research.nn.ghost_batch_norm import GhostBatchNorm
from research.papers.imagenet_1hr.workers import gradient_of_workers, worker_gradient
from research.pods.equivalence import relative_difference
from tests.training.toy import ROOT


class Net(nn.Module):
    @nn.compact
    def __call__(self, x):
        x = GhostBatchNorm(4, use_running_average=False)(nn.Dense(6, use_bias=False)(x))
        return nn.Dense(3)(nn.relu(x))


def problem(rows=32):
    x = jax.random.normal(jax.random.key(0), (rows, 5))
    batch = {"x": x, "y": jax.random.normal(jax.random.key(1), (rows, 3))}
    variables = Net().init(jax.random.key(2), x[:4])

    def losses(params, batch):
        out = Net().apply({**variables, "params": params}, batch["x"], mutable=["batch_stats"])[0]
        return ((out - batch["y"]) ** 2).sum(-1)

    return losses, variables["params"], batch


def test_workers_give_the_gradient_of_one_program():
    losses, params, batch = problem()
    together = jax.grad(lambda p: losses(p, batch).mean())(params)
    assert relative_difference(gradient_of_workers(losses, params, batch, 4), together) < 1e-5


def test_a_mean_over_a_worker_is_k_times_too_large():
    """What remark 3 warns of; and other groups are another loss."""
    losses, params, batch = problem()
    right = gradient_of_workers(losses, params, batch, 4)

    def wrong(part):
        return jax.lax.psum(jax.grad(lambda p: losses(p, part).mean())(params), "workers")

    parts = jax.tree.map(lambda x: x.reshape(8, 4, *x.shape[1:]), batch)
    grads = jax.tree.map(lambda g: g[0], jax.vmap(wrong, axis_name="workers")(parts))
    assert relative_difference(grads, jax.tree.map(lambda g: 8 * g, right)) < 1e-5
    shuffled = jax.tree.map(
        lambda x: x[::-1].reshape(4, 8, -1).swapaxes(0, 1).reshape(x.shape), batch
    )
    assert relative_difference(gradient_of_workers(losses, params, shuffled, 4), right) > 1e-2


def test_a_scaled_loss_is_not_a_scaled_rate_when_there_is_a_penalty():
    """Remark 1: the penalty is a part of the gradient that the loss's scale does not touch."""
    params, gradient = {"kernel": np.array([2.0, -1.0])}, {"kernel": np.array([0.3, 0.1])}

    def update(rate, loss_scale, penalty):
        tx = optax.chain(optax.add_decayed_weights(penalty), optax.sgd(rate))
        scaled = jax.tree.map(lambda g: loss_scale * g, gradient)
        return tx.update(scaled, tx.init(params), params)[0]

    assert relative_difference(update(0.8, 1.0, 0.0), update(0.1, 8.0, 0.0)) < 1e-6
    assert relative_difference(update(0.8, 1.0, 0.1), update(0.1, 8.0, 0.1)) > 0.1


def compare_on_devices():
    losses, params, batch = problem()
    mesh = jax.make_mesh((8,), ("workers",), axis_types=(jax.sharding.AxisType.Auto,))
    spec = jax.sharding.PartitionSpec
    run = jax.jit(
        jax.shard_map(
            functools.partial(worker_gradient, losses, axis="workers"),
            mesh=mesh,
            in_specs=(spec(), spec("workers")),
            out_specs=spec(),
            check_vma=False,
        )
    )
    loss, grads = run(params, batch)
    together = jax.value_and_grad(lambda p: losses(p, batch).mean())(params)
    assert len(jax.devices()) == 8
    np.testing.assert_allclose(loss, together[0], rtol=1e-5)
    assert relative_difference(grads, together[1]) < 1e-4
    # And by the compiler's own sharding, as the scripts do it: groups do not follow the devices.
    shard = jax.sharding.NamedSharding(mesh, spec("workers"))
    by_compiler = jax.jit(jax.grad(lambda p, b: losses(p, b).mean()))(
        params, jax.device_put(batch, shard)
    )
    assert relative_difference(by_compiler, together[1]) < 1e-4


def test_eight_devices_give_the_gradient_of_one_program():
    code = "from tests.papers.imagenet_1hr.test_workers import compare_on_devices as c; c()"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env={**os.environ, "JAX_NUM_CPU_DEVICES": "8", "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stderr
