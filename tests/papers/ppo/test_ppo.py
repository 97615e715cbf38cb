"""What is PPO's own: probes it must solve, bugs that must show, schedules, exact resume."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs.ppo import get_config
from experiments import ppo
from research import app, training
from research.core import UserError
from research.core.tree import count_parameters, named_leaves
from research.rl.envs import probe_envs
from tests.rl import probe_runs

GAMMA = 0.5


def configured(variant="smoke", **overrides):
    config = get_config(variant)
    config.update_from_flattened_dict(
        {key.replace("__", "."): value for key, value in overrides.items()}
    )
    return config


def on_probes(names, bugs=("none",)):
    config = configured(
        env__normalize_observations=False,
        env__normalize_rewards=False,
        agent__gamma=GAMMA,
        agent__rollout_steps=16,
        agent__epochs=4,
        agent__anneal=False,
        optimizer__learning_rate=3e-3,
        total_frames=8 * 16 * 150,
    )

    config.env.name = names[0]
    experiment = app.build(ppo, config)

    def policy_and_value(state, observation):
        return experiment.policy_and_value(state.learner, observation)

    return probe_runs.check(probe_runs.train(ppo, config, names, bugs), policy_and_value, GAMMA)


def test_solves_every_probe_and_bootstrapping_bugs_show():
    errors = on_probes(probe_runs.SEEN, probe_runs.BUGS)
    for name in probe_runs.SEEN:
        limit = 0.3 if probe_envs.PROBES[name].noisy else 0.15
        assert errors[name, "none"] < limit, name
    assert errors["probe_truncation", "truncation_is_termination"] > 0.3
    assert errors["probe_constant", "nothing_terminates"] > 0.3


def test_solves_every_continuous_probe():
    assert max(on_probes(probe_runs.CONTINUOUS).values()) < 0.2


def steps(config, count):
    """Metrics and states of the first steps."""
    experiment = app.build(ppo, config)
    step = jax.jit(experiment.step)
    state, out = experiment.init(jax.random.key(0)), []
    for t in range(count):
        before = state
        state, metrics = step(state, None, t, jax.random.key(t))
        moved = jax.tree.map(
            lambda a, b: float(jnp.abs(a - b).max()), before.learner.params, state.learner.params
        )
        out.append((metrics, max(jax.tree.leaves(moved))))
    return experiment, out


def test_the_penalty_follows_the_divergence_and_the_rate_falls_to_zero():
    config = configured(
        agent__objective="kl_penalty",
        agent__kl_target=1e-9,
        env__normalize_observations=False,
        total_frames=8 * 8 * 5,
    )
    experiment, out = steps(config, 6)
    assert experiment.num_steps == 5
    assert [float(metrics["penalty"]) for metrics, _ in out[:5]] == [2, 4, 8, 16, 32]
    moved = [size for _, size in out]  # Adam's steps are of the size of its rate
    assert moved[4] < 0.5 * moved[0] and moved[5] < 1e-6 * moved[0]  # the last: past the end


def test_both_clips_are_annealed():
    """Halfway through the run a step is one of half the clips that are not annealed."""

    def after(**overrides):
        config = configured(
            env__normalize_observations=False,
            agent__anneal=False,
            agent__epochs=4,
            optimizer__learning_rate=0.05,
            total_frames=8 * 8 * 4,
            **overrides,
        )
        experiment = app.build(ppo, config)
        state = experiment.init(jax.random.key(0))
        return jax.jit(experiment.step)(state, None, 2, jax.random.key(1))[0].learner.params

    def same(a, b):
        return all(
            np.allclose(*pair, atol=1e-6)
            for pair in zip(*map(jax.tree.leaves, (a, b)), strict=True)
        )

    half = after(agent__clip=0.1, agent__value_clip=0.1)
    assert same(half, after(agent__clip=0.2, agent__value_clip=0.2, agent__anneal_clip=True))
    assert not same(half, after(agent__clip=0.1, agent__value_clip=0.2))


def test_parameters_at_paper_size():
    for game, actions in (("pong", 6), ("breakout", 4)):
        shapes = jax.eval_shape(app.build(ppo, configured(game)).init, jax.random.key(0))
        count = sum(count_parameters(shapes).values())
        assert count == 1_684_128 + 513 * actions + 513


@pytest.mark.slow  # DQN's stands for all that play emulators inside the step
def test_atari_resumes_bit_identically_with_fresh_emulators(tmp_path):
    config = configured(
        "breakout",
        model__variant="2016",
        env__num_envs=2,
        agent__rollout_steps=8,
        agent__epochs=1,
        agent__minibatches=2,
        eval__episodes=1,
        eval__max_episode_frames=120,
        log_every_steps=2,
        total_frames=8 * 2 * 4 * 6,
        env__max_episode_frames=200,
    )

    def run(workdir, num_steps):
        experiment = app.build(ppo, config)
        experiment.num_steps = num_steps
        state, _ = training.run(experiment, config, workdir)
        return named_leaves(jax.device_get(state))

    unbroken = run(tmp_path / "unbroken", 6)
    run(tmp_path / "broken", 3)
    resumed = run(tmp_path / "broken", 6)
    unbroken.pop("actors/env/env/handle")
    for name, leaf in unbroken.items():
        np.testing.assert_array_equal(leaf, resumed[name], err_msg=name)
    assert unbroken["actors/env/env/log/length"].min() > 0


@pytest.mark.parametrize(
    "overrides",
    [
        {"env.name": "pongg"},
        {"agent.objective": "bogus"},
        {"agent.minibatches": 7},
        {"model.variant": "2015"},
    ],
    ids=str,
)
def test_wrong_values_are_one_clear_line(overrides):
    config = configured(**{k.replace(".", "__"): v for k, v in overrides.items()})
    with pytest.raises(UserError):
        jax.eval_shape(app.build(ppo, config).init, jax.random.key(0))
