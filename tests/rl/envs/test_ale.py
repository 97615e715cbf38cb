"""Atari: what C++ does for us is what the paper says, and emulators are restored exactly."""

import dataclasses
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from research.core import UserError
from research.rl.envs.ale import Atari, AtariSpec, EpisodeLog, HostAtari
from research.rl.envs.atari_57 import ATARI_57

SPEC = AtariSpec("breakout", 3, sticky_actions=0.25, max_episode_frames=400)


def play(env, state, steps, offset=0):
    step = env.step if env.on_host else jax.jit(env.step)
    out = []
    for t in range(offset, offset + steps):
        key = jax.random.key(t)
        action = np.asarray(jax.random.randint(key, (env.num_envs,), 0, env.num_actions))
        observation, state, *rest = step(key, state, action)
        out.append(jax.tree.map(np.asarray, (observation, rest)))
    return state, out


def test_in_step_and_on_host_are_the_same_game():
    inside, outside = Atari(SPEC), HostAtari(SPEC)
    (a, inside_state), (b, outside_state) = (
        inside.reset(jax.random.key(0)),
        outside.reset(jax.random.key(0)),
    )
    np.testing.assert_array_equal(a, b)
    _, ours = play(inside, inside_state, 150)
    _, theirs = play(outside, outside_state, 150)
    ends = 0
    for (o1, (r1, te1, tr1, i1)), (o2, (r2, te2, tr2, i2)) in zip(ours, theirs, strict=True):
        i2.pop("next_seed")
        jax.tree.map(np.testing.assert_array_equal, (o1, r1, te1, tr1, i1), (o2, r2, te2, tr2, i2))
        ends += (te1 | tr1).sum()
    assert ends > 0


def test_restored_emulators_go_on_bit_for_bit():
    spec = dataclasses.replace(SPEC, max_episode_frames=108_000)
    env = Atari(spec)
    _, state = env.reset(jax.random.key(3))
    state, _ = play(env, state, 250)
    assert len(set(state.log.length.tolist())) > 1  # episodes stand at different points
    fresh = Atari(spec)
    lives = fresh.emulators.restore(jax.device_get(state.log))
    np.testing.assert_array_equal(lives, state.lives)
    _, theirs = play(fresh, fresh.receive(state, fresh.emulators.handle[None]), 100, offset=250)
    _, ours = play(env, state, 100, offset=250)
    jax.tree.map(np.testing.assert_array_equal, ours, theirs)


def test_a_log_without_seeds_or_actions_does_not_restore():
    """The log holds nothing superfluous: with either part wrong, play differs."""
    env = Atari(SPEC)
    _, state = env.reset(jax.random.key(3))
    state, _ = play(env, state, 40)
    _, ours = play(env, state, 40, offset=40)
    log = jax.device_get(state.log)
    wrong = [
        log.replace(seed=log.seed + 1),
        log.replace(actions=np.zeros_like(log.actions)),
        log.replace(length=np.maximum(log.length - 1, 0)),
    ]
    for bad in wrong:
        fresh = Atari(SPEC)
        fresh.emulators.restore(bad)
        _, theirs = play(fresh, fresh.receive(state, fresh.emulators.handle[None]), 40, offset=40)
        assert any((a[0] != b[0]).any() for a, b in zip(ours, theirs, strict=True))


def test_log_holds_the_longest_episode():
    env = Atari(dataclasses.replace(SPEC, max_episode_frames=80, max_noops=0))
    _, state = env.reset(jax.random.key(0))
    step = jax.jit(env.step)
    longest = 0
    for t in range(70):
        longest = max(longest, int(state.log.length.max()))
        _, state, *_, truncated, _ = step(jax.random.key(t), state, jnp.zeros(3, jnp.int32))
    assert 0 < longest < state.log.actions.shape[1]


def test_log_of_a_finished_episode_starts_over():
    log = EpisodeLog.start(jnp.array([5, 6]), 4)
    log = log.record(jnp.array([2, 3]), jnp.array([False, True]), jnp.array([8, 9]))
    assert log.seed.tolist() == [5, 9] and log.length.tolist() == [1, 0]
    assert log.actions[0, 0] == 2


def test_losing_a_life_is_reported_and_ends_nothing():
    env = HostAtari(AtariSpec("breakout", 1))
    _, lives = env.reset(jax.random.key(0))
    start, lost = int(lives[0]), 0
    for t in range(600):
        _, lives, _, terminated, _, info = env.step(jax.random.key(t), lives, np.array([1 + t % 3]))
        lost += int(info["life_lost"][0])
        if terminated[0]:
            break
    assert terminated[0]
    assert lost == start - 1  # the last life ends the game


def test_rewards_are_not_clipped():
    env = HostAtari(AtariSpec("qbert", 1))
    _, state = env.reset(jax.random.key(0))
    _, steps = play(env, state, 200)
    assert max(rest[0].max() for _, rest in steps) >= 25  # Q*bert pays 25 for a cube


def test_noops_are_drawn_up_to_their_number():
    def first_frame_numbers(noops):
        emulators = HostAtari(AtariSpec("pong", 2, max_noops=noops)).emulators
        infos = [emulators.vector.reset(seed=np.array([i, i + 1]))[1] for i in range(0, 20, 2)]
        return np.concatenate([info["episode_frame_number"] for info in infos])

    assert set(first_frame_numbers(0)) == {0}
    drawn = first_frame_numbers(30)
    assert drawn.max() <= 30 and drawn.min() >= 0 and len(set(drawn)) > 5


def test_fire_is_pressed_at_the_start_where_it_is_asked_for():
    """Breakout's ball is not there before."""

    def moving(fire):
        env = HostAtari(AtariSpec("breakout", 1, max_noops=0, fire_reset=fire))
        first, state = env.reset(jax.random.key(0))
        later = env.step(jax.random.key(1), state, np.array([0]))[0]
        return (np.asarray(first) != np.asarray(later)).any()

    assert moving(True) and not moving(False)


def test_actions_minimal_and_full():
    assert HostAtari(AtariSpec("pong", 1)).num_actions == 6
    assert HostAtari(AtariSpec("pong", 1, full_action_space=True)).num_actions == 18


def test_every_game_of_the_57_has_its_rom():
    from ale_py import roms

    assert len(set(ATARI_57)) == 57
    assert set(ATARI_57) <= set(roms.get_all_rom_ids())


def test_absent_emulator_is_one_clear_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "ale_py", None)
    with pytest.raises(UserError, match=r"pip install -e '\.\[atari\]'"):
        HostAtari(SPEC).reset(jax.random.key(0))
