"""What is DQN's own: probes it must solve, bugs that must show, units, copies, exact resume."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from configs.dqn_atari import get_config
from experiments import dqn_atari
from research import app, training
from research.core import UserError
from research.core.tree import count_parameters, named_leaves
from research.report.claims import Results
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
    experiment = app.build(dqn_atari, config)

    @jax.jit
    def run(state):
        def body(state, t):
            return experiment.step(state, None, t, jax.random.fold_in(jax.random.key(1), t))

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
    return model.apply({"params": state.agent.learner.params}, images, train=False)[0]


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
    experiment = app.build(dqn_atari, config)
    return experiment.evaluate(trained(config)[0], jax.random.key(0))["eval/return"]


def test_recall_needs_two_frames():
    assert recalled(2) > 0.7
    assert abs(recalled(1)) < 0.5


def test_bootstrapping_bugs_show_on_the_probe(monkeypatch):
    add = Replay.add

    def as_termination(self, state, frame, action, reward, terminated, ended, next_frame):
        return add(self, state, frame, action, reward, terminated | ended, ended, next_frame)

    def from_the_next_episode(self, state, frame, action, reward, terminated, ended, next_frame):
        state = add(self, state, frame, action, reward, terminated, ended, next_frame)
        kept = ended & ~terminated
        return state.replace(head=(state.head - kept) % self.rows, filled=state.filled - kept)

    def never_ends(self, state, frame, action, reward, terminated, ended, next_frame):
        no = jnp.zeros_like(terminated)
        return add(self, state, frame, action, reward, no, ended, next_frame)

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
            "optimizer.name": "adam",
        },
    )
    experiment = app.build(dqn_atari, config)
    step = jax.jit(experiment.step)
    state = experiment.init(jax.random.key(0))
    first, updates = state.agent.learner.params, 0
    for t in range(120 // num_envs):
        before = state
        state, metrics = step(state, None, t, jax.random.key(t))
        agent_steps = (t + 1) * num_envs
        started = agent_steps >= 40
        due = agent_steps // per_update - (agent_steps - num_envs) // per_update
        before_updates, updates = updates, updates + (due if started else 0)
        assert experiment.num_updates(t + 1) == updates == optimizer_steps(state)
        target = state.agent.target_params
        same = jax.tree.map(lambda a, b: bool((a == b).all()), target, before.agent.target_params)
        copied = updates // 3 > before_updates // 3
        assert all(jax.tree.leaves(same)) != copied
        if updates % 3 == 0 and updates:
            jax.tree.map(np.testing.assert_array_equal, target, state.agent.learner.params)
        if not started:
            jax.tree.map(np.testing.assert_array_equal, state.agent.learner.params, first)


def optimizer_steps(state):
    """Updates as Adam has counted them."""
    return optax.tree.get(state.agent.learner.opt_state, "count")


@pytest.mark.parametrize("starts", [0, 1, 39, 40, 41, 10**9])
def test_updates_are_counted_from_the_start_of_learning(starts):
    """The number of updates before a step against a sum over all steps before it."""
    for num_envs, per_update in ((1, 4), (8, 3), (2, 8), (8, 8)):
        experiment = app.build(
            dqn_atari,
            configured(
                env__num_envs=num_envs,
                agent__agent_steps_per_update=per_update,
                replay__learning_starts_frames=starts,
            ),
        )
        total = 0
        for t in range(60):
            assert experiment.num_updates(t) == total
            now = (t + 1) * num_envs
            if now >= starts:
                total += now // per_update - (now - num_envs) // per_update


def test_no_target_network_is_a_copy_after_every_update():
    state, _ = trained(configured(agent__target_period_updates=1, optimizer__name="adam"))
    assert optimizer_steps(state) > 10
    jax.tree.map(
        np.testing.assert_array_equal, state.agent.target_params, state.agent.learner.params
    )


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
    experiment = app.build(dqn_atari, config)
    if steps:
        experiment.num_steps = steps
    state, numbers = training.run(experiment, config, workdir)
    return named_leaves(jax.device_get(state)), numbers


@pytest.mark.parametrize("actor", ["step", "host"])
def test_atari_resumes_bit_identically_with_fresh_emulators(actor, tmp_path):
    config = atari(actor)
    unbroken, numbers = run(config, tmp_path / "unbroken")
    run(config, tmp_path / "broken", steps=27)
    resumed, resumed_numbers = run(config, tmp_path / "broken")
    unbroken.pop("actors/env/handle", None)
    for name, leaf in unbroken.items():
        np.testing.assert_array_equal(leaf, resumed[name], err_msg=name)
    assert numbers == resumed_numbers
    assert unbroken["agent/learner/opt_state/0/count"] > 10
    assert unbroken["actors/env/log/length"].min() > 0


@functools.cache
def breakout_at_random(life_loss_ends, steps=360):
    config = atari(
        env__life_loss_ends=life_loss_ends,
        replay__learning_starts_frames=10**9,
        replay__capacity=2 * steps + 10,
    )
    experiment = app.build(dqn_atari, config)
    state = experiment.init(jax.random.key(0))
    step, ends = jax.jit(experiment.step), 0
    for t in range(steps):
        state, metrics = step(state, experiment.source(state), t, jax.random.key(t))
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
    experiment = app.build(dqn_atari, config)
    state = experiment.init(jax.random.key(0))
    step = jax.jit(experiment.step)
    returns = 0
    for t in range(150):
        state, _ = step(state, experiment.source(state), t, jax.random.key(t))
        returns = max(returns, float(state.actors.episode_return.max()))
    assert returns >= 5
    assert set(np.unique(state.replay.reward)) == {0.0, 1.0}


def test_epsilon_is_counted_in_frames():
    config = atari(
        replay__learning_starts_frames=40, agent__epsilon_decay_frames=80, agent__epsilon_end=0.1
    )
    experiment = app.build(dqn_atari, config)
    state, step = experiment.init(jax.random.key(0)), jax.jit(experiment.step)
    for t in range(1, 20):  # 2 emulators, 4 frames a step: 8 frames
        state, metrics = step(state, experiment.source(state), t - 1, jax.random.key(t))
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
    shapes = jax.eval_shape(app.build(dqn_atari, config).init, jax.random.key(0))
    assert sum(count_parameters(shapes).values()) == parameters
    frames = shapes.replay.frames
    assert frames.dtype == jnp.uint8 and frames.shape == (1, 1_000_001, 84 * 84)  # once each


@pytest.mark.parametrize(
    "overrides",
    [
        {"env.name": "pongg"},
        {"env.actor": "bogus"},
        {"env.name": "probe_both", "env.sticky_actions": 0.25},
        {"env.sticky_actions": 1.0},
        {"agent.target_period_frames": 10},
        {"replay.sampling": "bogus"},
        {"optimizer.name": "sgd"},
    ],
    ids=str,
)
def test_wrong_values_are_one_clear_line(overrides):
    config = configured(**{k.replace(".", "__"): v for k, v in overrides.items()})
    with pytest.raises(UserError):
        experiment = app.build(dqn_atari, config)
        if experiment.source:
            experiment.source.open()


def test_every_variant_has_the_same_keys():
    keys = set(named_leaves(get_config().to_dict()))
    for variant in ("smoke", "pong", "paper", "paper_2013"):
        assert keys - {k for k in keys if k.startswith("arms/")} <= set(
            named_leaves(get_config(variant).to_dict())
        )


def test_claims_are_missed_by_what_is_broken():
    def holds(random=(0.4, 0.4, 0.4), **returns):
        arms = {
            "full": (8, 10, 12),
            "no_target": (7, 8, 6),
            "no_replay": (7, 7, 7),
            "neither": (6, 6, 6),
        }
        numbers = {
            arm: {"eval/return": np.array(values), "random/return": np.array(random[: len(values)])}
            for arm, values in {**arms, **returns}.items()
        }
        return [claim.holds for claim in dqn_atari.claims(Results(numbers))]

    assert holds() == [True] * 4
    assert holds(full=(7.5, 10, 12)) == [False, True, False, True]  # the worst seed counts
    assert holds(no_replay=(9.5, 9.5, 9.5)) == [False, True, True, True]
    assert holds(neither=(9.5, 9.5, 9.5)) == [True, False, True, True]
    assert holds(no_target=(11, 11, 11)) == [True, True, False, True]
    assert holds(no_target=(11,)) == [True, True, None, True]  # too few seeds to tell
    assert holds(random=(3, 3, 3)) == [True, True, True, False]
    assert holds(random=(0, 0, 0)) == [True] * 4  # a random policy may score nothing
    assert dqn_atari.claims(Results({"main": {"eval/return": np.array([1.0])}})) == []
