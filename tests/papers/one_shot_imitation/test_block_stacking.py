"""Blocks in the plane: what an action does, what a task asks for, what the expert can do."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from research.papers.one_shot_imitation.block_stacking import (
    GRASP,
    LOT,
    SIDE,
    BlockStacking,
    StackingState,
    Towers,
    named,
)
from research.papers.one_shot_imitation.task_families import play, teach

FLOOR, NONE = SIDE / 2, [-1, -1, -1]
FAMILY = BlockStacking(3, ((2,), (3,)), 60)
SPEED = FAMILY.speed
STEP = jax.jit(FAMILY.step)


def state(blocks, gripper, held=-1, below=NONE, rank=NONE, present=(True, True, True)):
    task = Towers(jnp.array(below), jnp.array(rank), jnp.array(present))
    return StackingState(
        task,
        jnp.array(gripper, jnp.float32),
        jnp.int32(held),
        jnp.array(blocks, jnp.float32),
        jnp.int32(0),
    )


def after(before, *actions):
    for action in actions:
        _, before, *_ = STEP(jax.random.key(0), before, jnp.array(action, jnp.float32))
    return before


APART = [[-0.4, FLOOR], [0.0, FLOOR], [0.4, FLOOR]]
BUSY = {"below": [1, -1, -1], "rank": [0, -1, -1]}  # a task that no test below completes


def test_moves_are_clipped_to_the_speed_and_to_the_room():
    moved = after(state(APART, [0.0, 0.5], **BUSY), [0.5, -3.0, -1])
    np.testing.assert_allclose(moved.gripper, [SPEED / 2, 0.5 - SPEED], atol=1e-6)
    low = after(moved, *[[1, -1, -1]] * 12)
    np.testing.assert_allclose(low.gripper, [1.5 * LOT, FLOOR], atol=1e-6)
    np.testing.assert_array_equal(low.blocks, np.float32(APART))


@pytest.mark.parametrize(
    ("off", "held"),
    [
        ((0, 0), 1),
        ((0.9 * GRASP, -0.0), 1),
        ((1.1 * GRASP, 0), -1),
        ((0, 1.1 * GRASP), -1),
    ],
)
def test_closing_takes_what_is_near(off, held):
    at = [off[0], FLOOR + off[1]]
    taken = after(state(APART, at, **BUSY), [0, 0, 1])
    assert taken.held == held
    lifted = after(taken, [0, 1, 1])
    np.testing.assert_allclose(
        lifted.blocks[1], [at[0], at[1] + SPEED] if held == 1 else APART[1], atol=1e-6
    )


def test_a_block_under_another_cannot_be_taken_and_the_upper_one_can():
    blocks = [[0.0, FLOOR], [0.05, FLOOR + SIDE], [0.4, FLOOR]]
    assert after(state(blocks, [0.0, FLOOR], **BUSY), [0, 0, 1]).held == -1
    assert after(state(blocks, [0.05, FLOOR + SIDE], **BUSY), [0, 0, 1]).held == 1


def test_an_absent_block_cannot_be_taken():
    before = state(APART, APART[2], present=(True, True, False), **BUSY)
    assert after(before, [0, 0, 1]).held == -1


@pytest.mark.parametrize(
    ("x", "rests"),
    [
        (0.0, (0.0, FLOOR + SIDE)),  # on the middle block
        (0.1, (0.1, FLOOR + SIDE)),  # its middle still over it
        (0.15, (0.25, FLOOR)),  # beyond the edge: tips over it, to the table
        (-0.15, (-0.25, FLOOR)),
        (0.26, (0.26, FLOOR)),  # beside it
    ],
)
def test_where_a_block_falls(x, rests):
    blocks = [[x, 0.9], [0.0, FLOOR], [-0.55, FLOOR]]
    fallen = after(state(blocks, [x, 0.9], held=0, **BUSY), [0, 0, -1])
    assert fallen.held == -1
    np.testing.assert_allclose(fallen.blocks[0], rests, atol=1e-5)


def test_a_block_tips_over_onto_a_lower_one():
    blocks = [[0.15, 1.0], [0.0, FLOOR + SIDE], [0.2, FLOOR]]
    fallen = after(state(blocks, [0.15, 1.0], held=0, **BUSY), [0, 0, -1])
    np.testing.assert_allclose(fallen.blocks[0], [0.25, FLOOR + SIDE], atol=1e-5)


def test_it_does_not_open_where_there_is_no_room():
    blocks = [[0.1, FLOOR], [0.0, FLOOR], [0.5, FLOOR]]
    assert after(state(blocks, blocks[0], held=0, **BUSY), [0, 0, -1]).held == 0


def test_an_episode_ends_when_the_towers_have_stood():
    """With the gripper empty, every other block on the table, and no sooner than the next step."""
    tower = [[0.0, FLOOR + SIDE], [0.0, FLOOR], [0.4, FLOOR]]
    task = {"below": [1, -1, -1], "rank": [0, -1, -1]}

    def ends(before, grip=-1.0):
        observation, _, reward, terminated, truncated, info = STEP(
            jax.random.key(0), before, jnp.array([0, 0, grip])
        )
        assert not truncated and reward == terminated
        assert bool(terminated) == bool((observation != info["final_observation"]).any())
        return bool(terminated)

    assert ends(state(tower, [0.0, 0.9], **task))
    assert not ends(state(tower, [0.0, FLOOR + SIDE], **task), grip=1.0)  # taken again
    assert not ends(state([[0.0, 0.45], *tower[1:]], [0.0, 0.45], held=0, **task))  # just let go
    assert not ends(state(APART, [0.0, 0.9], **task))
    other = {"below": [2, -1, -1], "rank": [0, -1, -1]}
    assert not ends(state(tower, [0.0, 0.9], **other))
    third = [[0.0, FLOOR + SIDE], [0.0, FLOOR], [0.0, FLOOR + 2 * SIDE]]
    assert not ends(state(third, [0.0, 1.2], **task))  # one too many
    whole = {"below": [1, -1, 0], "rank": [0, -1, 1]}
    assert ends(state(third, [0.0, 1.2], **whole))


SHAPES = ((2,), (3,), (2, 2), (4,), (3, 2), (5,))


def test_the_expert_builds_every_task():
    """All shapes and many labels, with an unsteady hand; in its order, from the bottom."""
    family = BlockStacking(5, SHAPES, 120)
    taught = jax.jit(lambda key: teach(family, key, 300, 2, 0.1))(jax.random.key(0))
    assert taught.success.all()
    names = {named(jax.tree.map(lambda x, i=i: x[i, 0], taught.start[1].task)) for i in range(300)}
    assert {tuple(map(len, name.split())) for name in names} == set(SHAPES)
    assert len(names) > 150
    assert not np.asarray(taught.steps.present)[:, :, -1].all()  # episodes do end early
    both = taught.start[1].blocks
    assert (np.abs(both[:, 0] - both[:, 1]).max(axis=(1, 2)) > 0.02).all()  # other instances


def test_the_expert_puts_right_what_went_wrong():
    """From blocks stacked in every other order, and with the wrong one in hand."""
    family = BlockStacking(3, ((3,),), 120)
    starts = []
    for order in itertools.permutations(range(3)):
        blocks = np.zeros((3, 2), np.float32)
        blocks[list(order), 1] = FLOOR + SIDE * np.arange(3)
        starts.append(state(blocks, [0.3, 0.9], below=[1, 2, -1], rank=[1, 0, -1]))
    for held in range(3):
        blocks = np.array(APART, np.float32)
        blocks[held] = [0.2, 0.7]
        starts.append(state(blocks, [0.2, 0.7], held, below=[1, 2, -1], rank=[1, 0, -1]))
    start = jax.tree.map(lambda *x: jnp.stack(x), *starts)
    seen = jnp.zeros((len(starts), 12))

    def act(observation, env_state, key):
        action = jax.vmap(family.expert)(env_state)
        return action, action

    _, success = jax.jit(lambda s: play(family, (seen, s), act, jax.random.key(0)))(start)
    assert success.all()


def test_names_of_tasks():
    task = Towers(jnp.array([1, -1, 3, 4, -1]), jnp.array([0, -1, 2, 1, -1]), jnp.ones(5, bool))
    assert named(task) == "ab cde"


def test_tasks_for_testing_are_none_of_training():
    def tasks(shapes):
        family = BlockStacking(4, shapes, 60)
        drawn = jax.vmap(family.sample_task)(jax.random.split(jax.random.key(0), 2000))
        rows = zip(*map(np.asarray, drawn), strict=True)
        return {named(Towers(*row)) for row in rows}

    train, test = tasks(((2,), (3,))), tasks(((2, 2),))
    assert len(train) == 12 + 24 and len(test) == 24  # every labelling of each
    assert not train & test
