"""Agents trained on many probes at once: one program, in which the probes' tables are arrays."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from research import app
from research.rl.acting import rollouts
from research.rl.envs import probe_envs

SEEN = [name for name in probe_envs.PROBES if name != "probe_recall"]  # what one frame tells
CONTINUOUS = list(probe_envs.CONTINUOUS_PROBES)
# Bugs, as (termination, end of the episode) -> (the same, as they are mistaken for).
BUGS = ("none", "truncation_is_termination", "nothing_terminates")


def train(script, config, names, bugs=("none",)):
    """Trains `script` on every probe and bug.

    Returns:
      {(name, bug): (state, probe)}; the probe of arrays has all probes' padded states.
    """
    table = {**probe_envs.PROBES, **probe_envs.CONTINUOUS_PROBES}
    states = max(len(table[name].levels) for name in names)
    stacked = {
        field.name: jnp.array([_padded(getattr(table[name], field.name), states) for name in names])
        for field in dataclasses.fields(table[names[0]])
    }
    config.env.name = names[0]
    kind, true_returns = type(table[names[0]]), rollouts.lambda_returns

    def run(fields, bug):
        def mistaken(reward, next_value, terminated, ended, *rest):
            terminated = jnp.where(bug == 1, ended, terminated & (bug != 2))
            return true_returns(reward, next_value, terminated, ended & (bug != 2), *rest)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(rollouts, "lambda_returns", mistaken)
            patch.setattr(probe_envs, "PROBES", {names[0]: kind(**fields)})
            experiment = app.build(script, config)
            state = experiment.init(jax.random.key(0))

            def body(state, t):
                key = jax.random.fold_in(jax.random.key(1), t)
                return experiment.step(state, None, t, key)[0], ()

            return jax.lax.scan(body, state, jnp.arange(experiment.num_steps))[0]

    over_bugs = jax.vmap(run, in_axes=(None, 0))
    states = jax.jit(jax.vmap(over_bugs, in_axes=(0, None)))(
        stacked, jnp.array([BUGS.index(bug) for bug in bugs])
    )
    return {
        (name, bug): (jax.tree.map(lambda x, i=i, j=j: x[i, j], states), table[name])
        for i, name in enumerate(names)
        for j, bug in enumerate(bugs)
    }


def _padded(value, states):
    """A probe's field, with rows repeated up to a number of states."""
    return list(value) + [value[-1]] * (states - len(value)) if isinstance(value, tuple) else value


def check(states, policy_and_value, gamma):
    """The likeliest actions are the best, and the values those of them.

    Args:
      policy_and_value: `(state, observations) -> (distribution, values)`.

    Returns:
      {(name, bug): largest error of the values of states that are reached}.
    """
    errors = {}
    for (name, bug), (state, probe) in states.items():
        seen = jax.vmap(probe.observe)(jnp.arange(len(probe.levels)))
        distribution, value = policy_and_value(state, seen)
        truth, action = probe.values(gamma), np.asarray(distribution.mode())
        best = truth.max(axis=1) if truth.ndim == 2 else truth
        if bug == "none" and truth.ndim == 2:
            np.testing.assert_allclose(truth[np.arange(len(best)), action], best, err_msg=name)
        elif bug == "none":
            np.testing.assert_allclose(action[:, 0], probe.best, atol=0.15, err_msg=name)
        errors[name, bug] = float(np.abs(value - best).max())
    return errors
