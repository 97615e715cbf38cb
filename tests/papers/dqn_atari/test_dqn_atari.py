"""What is DQN's own: probes it must solve, bugs that must show, units, copies, exact resume."""

import dataclasses
import functools
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs.dqn_atari import get_config
from experiments import dqn_atari
from research import training
from research.core import UserError
from research.core.learner import LearnerState
from research.core.tree import count_parameters, named_leaves
from research.rl.envs import probe_envs
from research.rl.replay.frames import Replay

GAMMA = 0.5


def configured(variant="smoke", **overrides):
    config = get_config(variant)
    config.update_from_flattened_dict(
        {key.replace("__", "."): value for key, value in overrides.items()}
    )
    return config


def trained(config, steps=None):
    """State after a run, all steps in one dispatch."""
    experiment = dqn_atari.build(config)

    @jax.jit
    def run(state):
        def body(state, t):
            return experiment.step(state, None, 0, jax.random.fold_in(jax.random.key(1), t))

        return jax.lax.scan(body, state, jnp.arange(steps or experiment.num_steps))

    return run(experiment.init(jax.random.key(config.seed)))


def on_probe(name, **overrides):
    settings = {
        "env.name": name,
        "env.num_envs": 8,
        "replay.capacity": 800,
        "replay.learning_starts_frames": 200,
        "agent.gamma": GAMMA,
        "agent.batch_size": 32,
        "agent.agent_steps_per_update": 8,
        "agent.target_period_updates": 10,
        "agent.epsilon_end": 0.3,
        "agent.epsilon_decay_frames": 1,
        "total_frames": 8 * 800,
        "optimizer.learning_rate": 3e-3,
        **overrides,
    }
    return configured(**{k.replace(".", "__"): v for k, v in settings.items()})


def learned_values(config, state):
    """`[S, A]` values of the probe's states, as the network sees them with one frame."""
    probe = probe_envs.PROBES[config.env.name]
    model = dqn_atari.DQN(probe.num_actions, "minatar", config.model.dueling)
    images = jax.vmap(probe.observe)(jnp.arange(len(probe.levels)))
    return model.apply({"params": state.learner.params}, images, train=False)[0]


def value_error(config):
    """Largest error of the learned values."""
    state, _ = trained(config)
    truth = probe_envs.PROBES[config.env.name].values(GAMMA)
    return float(np.abs(learned_values(config, state) - truth).max())


LARGEST_ERROR = 0.15
SEEN = [name for name in probe_envs.PROBES if name != "probe_recall"]


@pytest.mark.parametrize("name", SEEN)
def test_learns_the_values_of_every_probe(name):
    assert value_error(on_probe(name)) < (0.3 if probe_envs.PROBES[name].noisy else LARGEST_ERROR)


@pytest.mark.parametrize(
    "overrides",
    [
        {"agent.double": True, "optimizer.name": "adam"},
        {"model.dueling": True, "replay.sampling": "prioritized"},
        {"agent.n_steps": 3},
        {"replay.sampling": "newest"},
    ],
    ids=str,
)
def test_extensions_learn_values_too(overrides):
    # Three steps' returns are those of the actions taken; in this probe all are equally good.
    assert value_error(on_probe("probe_truncation", **overrides)) < 0.2


def recalled(stack):
    config = on_probe("probe_recall", **{"env.stack": stack, "eval.episodes": 128})
    experiment = dqn_atari.build(config)
    return experiment.evals["eval"](trained(config)[0], jax.random.key(0))["return"]


def test_recall_needs_two_frames():
    assert recalled(2) > 0.7
    assert abs(recalled(1)) < 0.5


def test_bootstrapping_bugs_show_on_the_probe(monkeypatch):
    add = Replay.add

    def as_termination(self, state, frame, action, reward, terminated, ended, following):
        return add(self, state, frame, action, reward, terminated | ended, ended, following)

    def from_the_next_episode(self, state, frame, action, reward, terminated, ended, following):
        state = add(self, state, frame, action, reward, terminated, ended, following)
        kept = ended & ~terminated
        return state.replace(head=(state.head - kept) % self.rows, filled=state.filled - kept)

    def never_ends(self, state, frame, action, reward, terminated, ended, following):
        no = jnp.zeros_like(terminated)
        return add(self, state, frame, action, reward, no, ended, following)

    for bug, probe in (
        (as_termination, "probe_truncation"),
        (from_the_next_episode, "probe_truncation"),
        (never_ends, "probe_constant"),
    ):
        monkeypatch.setattr(Replay, "add", bug)
        assert value_error(on_probe(probe)) > LARGEST_ERROR, f"{bug} would pass the test above"


@pytest.mark.parametrize(("num_envs", "per_update"), [(8, 2), (8, 8), (2, 8)])
def test_updates_and_copies_of_the_target(num_envs, per_update):
    config = on_probe(
        "probe_both",
        **{
            "env.num_envs": num_envs,
            "agent.agent_steps_per_update": per_update,
            "replay.learning_starts_frames": 40,
            "agent.target_period_updates": 3,
        },
    )
    experiment = dqn_atari.build(config)
    step = jax.jit(experiment.step)
    state = experiment.init(jax.random.key(0))
    first = state.learner.params
    for t in range(120 // num_envs):
        before = state
        state, metrics = step(state, None, jax.random.key(t))
        agent_steps = (t + 1) * num_envs
        assert state.agent_steps == agent_steps
        started = agent_steps >= 40
        due = agent_steps // per_update - (agent_steps - num_envs) // per_update
        assert state.updates - before.updates == (due if started else 0)
        same = jax.tree.map(lambda a, b: bool((a == b).all()), state.target, before.target)
        copied = state.updates // 3 > before.updates // 3
        assert all(jax.tree.leaves(same)) != copied
        if state.updates % 3 == 0 and state.updates:
            jax.tree.map(np.testing.assert_array_equal, state.target, state.learner.params)
        if not started:
            jax.tree.map(np.testing.assert_array_equal, state.learner.params, first)


def test_no_target_network_is_a_copy_after_every_update():
    state, _ = trained(configured(agent__target_period_updates=1))
    assert state.updates > 10
    jax.tree.map(np.testing.assert_array_equal, state.target, state.learner.params)


def atari(actor="step", **overrides):
    return configured(
        "breakout",
        **{
            "env__num_envs": 2,
            "env__actor": actor,
            "replay__capacity": 400,
            "replay__learning_starts_frames": 80,
            "agent__agent_steps_per_update": 4,
            "agent__batch_size": 4,
            "eval__episodes": 1,
            "eval__max_episode_frames": 120,
            "log_every_steps": 10,
            "checkpoint_every_steps": 0,
            "total_frames": 8 * 40,
            **overrides,
        },
    )


def run(config, workdir, steps=None):
    experiment = dqn_atari.build(config)
    if steps:
        experiment = dataclasses.replace(experiment, num_steps=steps)
    state = training.run(experiment, config, workdir)
    numbers = training.evaluate(experiment, state, config)
    return named_leaves(jax.device_get(state)), numbers


@pytest.mark.parametrize("actor", ["step", "host"])
def test_atari_resumes_bit_identically_with_fresh_emulators(actor, tmp_path):
    config = atari(actor)
    unbroken, numbers = run(config, tmp_path / "unbroken")
    run(config, tmp_path / "broken", steps=27)
    resumed, resumed_numbers = run(config, tmp_path / "broken")
    unbroken.pop("env/env/handle", None)
    for name, leaf in unbroken.items():
        np.testing.assert_array_equal(leaf, resumed[name], err_msg=name)
    assert numbers == resumed_numbers
    assert unbroken["updates"] > 10 and unbroken["env/env/log/length"].min() > 0


@functools.cache
def breakout_at_random(life_loss_ends, steps=360):
    config = atari(
        env__life_loss_ends=life_loss_ends,
        replay__learning_starts_frames=10**9,
        replay__capacity=2 * steps + 10,
    )
    experiment = dqn_atari.build(config)
    state = experiment.init(jax.random.key(0))
    step, ends = jax.jit(experiment.step), 0
    for t in range(steps):
        state, metrics = step(state, experiment.source(state), jax.random.key(t))
        ends += int(np.isfinite(metrics["train/return"]))
    return state, ends


def test_a_lost_life_ends_the_value_and_not_the_episode():
    with_loss, ends = breakout_at_random(True)
    without, ends_without = breakout_at_random(False)
    assert ends == ends_without > 0  # the same games
    first = with_loss.replay.first.sum()
    assert first == without.replay.first.sum()  # the stack goes on through a lost life
    assert without.replay.terminated.sum() <= first < with_loss.replay.terminated.sum()


def test_training_rewards_are_clipped_and_returns_are_not():
    """Space Invaders pays 5 to 30 for a hit."""
    config = atari(
        env__name="space_invaders", replay__learning_starts_frames=10**9, replay__capacity=1000
    )
    experiment = dqn_atari.build(config)
    state = experiment.init(jax.random.key(0))
    step = jax.jit(experiment.step)
    returns = 0
    for t in range(150):
        state, _ = step(state, experiment.source(state), jax.random.key(t))
        returns = max(returns, float(state.episode_return.max()))
    assert returns >= 5
    assert set(np.unique(state.replay.reward)) == {0.0, 1.0}


def test_what_plays_in_evaluation_is_the_moving_average(monkeypatch):
    monkeypatch.setattr(dqn_atari, "Evaluation", lambda env, policy: lambda params, key: params)
    play = dqn_atari.evaluation(on_probe("probe_constant"), 0.05)
    for ema, played in (("average", "average"), (None, "last")):
        state = SimpleNamespace(learner=LearnerState("last", None, {}, ema))
        assert play(state, None) == played


def test_epsilon_is_counted_in_frames():
    config = atari(
        replay__learning_starts_frames=40, agent__epsilon_decay_frames=80, agent__epsilon_end=0.1
    )
    experiment = dqn_atari.build(config)
    state, step = experiment.init(jax.random.key(0)), jax.jit(experiment.step)
    for t in range(1, 20):  # 2 emulators, 4 frames a step: 8 frames
        state, metrics = step(state, experiment.source(state), jax.random.key(t))
        expected = np.interp(8 * t, [40, 120], [1, 0.1])
        assert float(metrics["epsilon"]) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize(
    ("variant", "game", "parameters"),
    [
        ("paper", "pong", 1_687_206),
        ("paper_2013", "pong", 677_686),
    ],
)
def test_parameters_at_paper_size(variant, game, parameters):
    config = configured(variant, env__name=game)
    shapes = jax.eval_shape(dqn_atari.build(config).init, jax.random.key(0))
    assert sum(count_parameters(shapes).values()) == parameters
    frames = shapes.replay.frames
    assert frames.dtype == jnp.uint8 and frames.shape == (1, 1_000_001, 84 * 84)  # once each


@pytest.mark.parametrize(
    "overrides",
    [
        {"env.name": "pongg"},
        {"env.actor": "bogus"},
        {"env.sticky_actions": 0.25},
        {"replay.sampling": "bogus"},
        {"optimizer.name": "sgd"},
    ],
    ids=str,
)
def test_wrong_values_are_one_clear_line(overrides):
    config = configured(**{k.replace(".", "__"): v for k, v in overrides.items()})
    with pytest.raises(UserError):
        experiment = dqn_atari.build(config)
        if experiment.source:
            experiment.source.open()


def test_every_variant_has_the_same_keys():
    keys = set(named_leaves(get_config().to_dict()))
    for variant in ("smoke", "pong", "paper", "paper_2013"):
        assert keys - {k for k in keys if k.startswith("arms/")} <= set(
            named_leaves(get_config(variant).to_dict())
        )
