"""Updates of one-shot imitation against formulas in NumPy: its losses, Adamax, the falling rate."""

import dataclasses

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from configs.one_shot_imitation import get_config
from experiments import one_shot_imitation
from research import app
from research.papers.one_shot_imitation.scenes import Demonstration
from research.rl.demonstrations import Demonstrations
from tests.rl import reference

N, Q, STEPS = 3, 4, 10


class Linear(nn.Module):
    """In place of a policy: a product of the robot, and one of the demonstration's last robot."""

    @nn.compact
    def __call__(self, demonstration, scene):
        init = nn.initializers.normal(1.0)
        size = scene.robot.shape[-1]
        own, shown = (self.param(name, init, (size, 3)) for name in ("own", "shown"))
        last = demonstration.scenes.robot[:, -1]
        return scene.robot @ own + (last @ shown)[:, None], {}


def batch_of(experiment, seed):
    rng = np.random.default_rng(seed)

    def seen(*shape):
        return jnp.asarray(rng.normal(size=(*shape, experiment.family.observation_size())))

    shown, states = seen(N, 5), seen(N, Q)
    expert = rng.normal(size=(N, Q, 3))
    present = rng.random((N, Q)) < 0.7
    assert present.any() and not present.all()
    demonstration = Demonstration(experiment.family.scene(shown), jnp.ones((N, 5), bool))
    return demonstration, Demonstrations(states, jnp.asarray(expert), jnp.asarray(present))


def test_two_updates_are_cloning_by_adamax(monkeypatch):
    """Squared errors of the two numbers of a move, cross entropy of the gripper's switch, over the
    states that there are; Adamax (Kingma and Ba, 2015, algorithm 2), at a rate that falls."""
    config = get_config("smoke")
    config.env.update(name="stacking", max_things=2, shapes=((2,),), horizon=9)
    config.update(learning_rate=0.05, rate_end=0.2, num_steps=STEPS, max_grad_norm=1.0)
    experiment = app.build(one_shot_imitation, config)
    size = jax.eval_shape(
        lambda key: experiment.init(key).demonstrations.steps.observation, jax.random.key(0)
    ).shape[-1]
    monkeypatch.setattr(type(experiment.family), "observation_size", lambda _: size, raising=False)
    learner = experiment.learner = dataclasses.replace(experiment.learner, model=Linear())
    demonstration, states = batch_of(experiment, 0)
    scene = experiment.family.scene(states.observation)
    state = learner.init(jax.random.key(1), demonstration, scene)
    params = reference.as_float64(state.params)
    m = {name: 0.0 for name in params}
    u = {name: np.zeros_like(x) for name, x in params.items()}
    for t in range(2):
        demonstration, states = batch = batch_of(experiment, t)
        state, _ = jax.jit(lambda s, b: learner.minimize(s, experiment.loss, b, None))(state, batch)
        robot, last = (
            np.asarray(x, np.float64)
            for x in (
                experiment.family.scene(states.observation).robot,
                demonstration.scenes.robot[:, -1],
            )
        )
        expert, present = np.asarray(states.action, np.float64), np.asarray(states.present)

        def loss(w, robot=robot, last=last, expert=expert, present=present):
            action = robot @ w["own"] + (last @ w["shown"])[:, None]
            error = ((action - expert)[..., :2] ** 2).sum(axis=-1)
            on, p = expert[..., 2] > 0, 1 / (1 + np.exp(-action[..., 2]))
            error -= np.where(on, np.log(p), np.log(1 - p))
            return error[present].mean()

        grads = reference.clipped(reference.gradient(loss, params), 1.0)
        rate = 0.05 * (0.2 + 0.8 * (1 + np.cos(np.pi * t / STEPS)) / 2)
        for name, g in grads.items():
            m[name] = 0.9 * m[name] + 0.1 * g
            u[name] = np.maximum(0.999 * u[name], np.abs(g))
            params[name] = params[name] - rate / (1 - 0.9 ** (t + 1)) * m[name] / u[name]
    reference.same(state.params, params, rtol=1e-3, atol=1e-4)
