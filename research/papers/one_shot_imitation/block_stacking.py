"""Block stacking in the plane: the blocks of Duan et al. (2017, arXiv:1703.07326, section 3.2) seen
from the front, with a gripper that reaches them from there.

A task is a set of towers: `ab cde` asks for a on b and, beside it, c on d on e; all that are not
named lie on the table. An action moves the gripper by up to `speed` along each axis, and closes it
if its last number is above 0. Closing, it takes hold of the nearest block within `GRASP` that has
none on top of it; a block held is where the gripper is, and passes in front of others. Opening, it
lets the block fall, unless another is in its place: onto the highest block under it, or the table.
A block whose middle is beyond the edge of what it fell on tips over that edge and falls on. A
block's side is `SIDE`; the table has room for all of them side by side. Blocks begin on the table,
the gripper above it; the episode ends when all towers have stood for a step, the gripper empty.
"""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np

from research.papers.one_shot_imitation import task_families
from research.papers.one_shot_imitation.scenes import Scene
from research.papers.one_shot_imitation.task_families import observe, scene_of
from research.rl.envs.environments import Step

SIDE = 0.25
LOT = 0.4  # width of the table for each block
GRASP = 0.06  # along each axis
_ALIGNED = 0.03  # nearer than this the expert takes a place as reached
_EPSILON = 1e-3


class Towers(NamedTuple):
    """A task. Attributes: below `[B]` int32, the block that each is to stand on, -1 for the table;
    rank `[B]` int32, the stage in which the expert puts it there, -1 where none; present `[B]`."""

    below: jax.Array
    rank: jax.Array
    present: jax.Array


@flax.struct.dataclass
class StackingState:
    """Attributes: task; gripper `[2]`; held, a block or -1; blocks' middles `[B, 2]`; time."""

    task: Towers
    gripper: jax.Array
    held: jax.Array
    blocks: jax.Array
    time: jax.Array


@dataclasses.dataclass(frozen=True)
class BlockStacking:
    """Observation `[3 + 3 B]`: gripper, whether it holds something; of each block 1 if it is there,
    and where. A `task_families.TaskFamily`.

    Attributes:
      max_blocks: B.
      shapes: of tasks, as the heights of their towers: `ab cde` is (2, 3). Each as likely; which
        blocks they are made of, and how many others there are, is drawn as well. The expert builds
        tower after tower in that order, each from its bottom.
      horizon: T, the largest number of steps.
      speed: of the gripper, in a step.
    """

    max_blocks: int
    shapes: tuple[tuple[int, ...], ...]
    horizon: int
    speed: float = 0.125

    num_actions, action_size, num_switches = 0, 3, 1

    @property
    def observation_space(self) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct((3 + 3 * self.max_blocks,), jnp.float32)

    @property
    def edge(self) -> float:
        """Half the width of the table."""
        return self.max_blocks * LOT / 2

    def sample_task(self, key: jax.Array) -> Towers:
        shape_key, number_key, order_key = jax.random.split(key, 3)
        below, rank = (jnp.array(x) for x in zip(*map(self._template, self.shapes), strict=True))
        which = jax.random.randint(shape_key, (), 0, len(self.shapes))
        named = jnp.array([sum(shape) for shape in self.shapes])[which]
        number = jax.random.randint(number_key, (), named, self.max_blocks + 1)
        # Block order[i] takes the part of the template's block i.
        order = _shuffled(order_key, self.max_blocks)
        part = jnp.argsort(order)
        below = below[which][part]
        below = jnp.where(below >= 0, order[below], -1)
        return Towers(below, rank[which][part], part < number)

    def _template(self, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
        """Of blocks numbered tower by tower from the top."""
        below, rank = np.full((2, self.max_blocks), -1, np.int32)
        first = stage = 0
        for height in shape:
            for i in reversed(range(first, first + height - 1)):
                below[i], rank[i] = i + 1, stage
                stage += 1
            first += height
        return below, rank

    def reset_to(self, key: jax.Array, task: Towers) -> tuple[jax.Array, StackingState]:
        order_key, shift_key, key = jax.random.split(key, 3)
        shift = jax.random.uniform(shift_key, (self.max_blocks,), minval=-0.05, maxval=0.05)
        x = self._lots()[_shuffled(order_key, self.max_blocks)] + shift
        blocks = jnp.stack([x, jnp.full(self.max_blocks, SIDE / 2)], axis=1)
        gripper = jax.random.uniform(
            key, (2,), minval=jnp.array([-self.edge, 2 * SIDE]), maxval=jnp.array([self.edge, 1.0])
        )
        blocks = jnp.where(task.present[:, None], blocks, 0)
        state = StackingState(task, gripper, jnp.int32(-1), blocks, jnp.int32(0))
        return _observation(state), state

    def reset(self, key: jax.Array) -> tuple[jax.Array, StackingState]:
        task_key, key = jax.random.split(key)
        return self.reset_to(key, self.sample_task(task_key))

    def step(self, key: jax.Array, env_state: StackingState, action: jax.Array) -> Step:
        return task_families.step(self, key, env_state, action)

    def transition(
        self, env_state: StackingState, action: jax.Array
    ) -> tuple[jax.Array, StackingState, jax.Array]:
        low = jnp.array([-self.edge, SIDE / 2])
        high = jnp.array([self.edge, (self.max_blocks + 1) * SIDE])
        gripper = env_state.gripper + self.speed * jnp.clip(action[:2], -1, 1)
        gripper = jnp.clip(gripper, low, high)
        held, close = env_state.held, action[2] > 0
        mine = jnp.arange(self.max_blocks) == held
        state = dataclasses.replace(
            env_state,
            gripper=gripper,
            blocks=jnp.where(mine[:, None], gripper, env_state.blocks),
        )
        landed, free = self._fallen(state)
        dropped = jnp.where((mine & free)[:, None], landed, state.blocks)
        taken = jnp.where(held < 0, _grasped(state), held)
        state = dataclasses.replace(
            state,
            held=jnp.where(close, taken, jnp.where(free, -1, held)),
            blocks=jnp.where(close, state.blocks, dropped),
            time=env_state.time + 1,
        )
        return _observation(state), state, self.stands(env_state) & self.stands(state)

    def stands(self, state: StackingState) -> jax.Array:
        """Whether every block is where the task has it, and the gripper empty."""
        right = _right(state) | ~state.task.present
        return right.all() & (state.held < 0)

    def scene(self, observation: jax.Array) -> Scene:
        return scene_of(observation, 3)

    def expert(self, env_state: StackingState) -> jax.Array:
        """Right from any state: what is wrongly stacked, or in the way, goes to the table first."""
        state, below = env_state, env_state.task.below
        wrong = ~_right(state) & state.task.present
        first = jnp.argmin(jnp.where(wrong, state.task.rank, self.max_blocks)).astype(jnp.int32)
        target = below[first]
        over, under = _top(state, first), _top(state, jnp.maximum(target, 0))
        under = jnp.where(target >= 0, under, target)
        source = jnp.where(over != first, over, jnp.where(under != target, under, first))
        source = jnp.where(state.held >= 0, state.held, source)
        stack = (source == first) & (target >= 0) & (under == target) & (over == first)
        onto = state.blocks[target] + jnp.array([0, SIDE])
        place = jnp.where(stack, onto, self._room(source, state))
        holds = state.held >= 0
        goal = jnp.where(holds, place, state.blocks[source])
        beside = jnp.abs(state.gripper[0] - goal[0]) > _ALIGNED
        goal = goal + jnp.where(beside, 1.0, 0.0) * jnp.array([0, SIDE])  # to above it first
        way = jnp.clip((goal - state.gripper) / self.speed, -1, 1)
        there = ~beside & (jnp.abs(state.gripper[1] - goal[1]) <= _ALIGNED)
        close = jnp.where(holds, ~there, there)
        done = self.stands(state)
        return jnp.append(jnp.where(done, 0, way), jnp.where(close & ~done, 1.0, -1.0))

    def _lots(self) -> jax.Array:
        return (jnp.arange(self.max_blocks) + 0.5) * LOT - self.edge

    def _room(self, block: jax.Array, state: StackingState) -> jax.Array:
        """A place on the table for this block, as far from the others as there is."""
        lots = self._lots()
        others = state.task.present & (jnp.arange(self.max_blocks) != block)
        away = jnp.abs(lots[:, None] - state.blocks[:, 0])
        nearest = jnp.where(others, away, jnp.inf).min(axis=1)
        return jnp.stack([lots[jnp.argmax(nearest)], jnp.float32(SIDE / 2)])

    def _fallen(self, state: StackingState) -> tuple[jax.Array, jax.Array]:
        """Where the held block comes to rest if it is let go, and whether it can be."""
        others = state.task.present & (jnp.arange(self.max_blocks) != state.held)
        away = state.gripper - state.blocks
        room = jnp.where(away[:, 1] > 0, 0.75 * SIDE, SIDE)  # a little into what it is put on
        inside = others & (jnp.abs(away[:, 0]) < SIDE - _EPSILON) & (jnp.abs(away[:, 1]) < room)

        def fall(_: jax.Array, loop: tuple[jax.Array, ...]) -> tuple[jax.Array, ...]:
            x, height, falling = loop
            under = others & (jnp.abs(x - state.blocks[:, 0]) < SIDE - _EPSILON)
            under &= state.blocks[:, 1] < height
            highest = jnp.where(under, state.blocks[:, 1], -jnp.inf)
            nearer = -_EPSILON * jnp.abs(x - state.blocks[:, 0])  # of two that are as high
            support = jnp.argmax(highest + nearer)
            off = x - state.blocks[support, 0]
            rests = ~under.any() | (jnp.abs(off) <= SIDE / 2)
            top = jnp.where(under.any(), state.blocks[support, 1] + SIDE, SIDE / 2)
            height = jnp.where(falling, top, height)
            tipped = state.blocks[support, 0] + jnp.sign(off) * SIDE
            x = jnp.where(falling & ~rests, jnp.clip(tipped, -self.edge, self.edge), x)
            return x, height, falling & ~rests

        begin = *state.gripper, jnp.bool_(True)
        x, height, _ = jax.lax.fori_loop(0, self.max_blocks, fall, begin)
        return jnp.stack([x, height]), ~inside.any()


def _shuffled(key: jax.Array, count: int) -> jax.Array:
    return jnp.argsort(jax.random.uniform(key, (count,))).astype(jnp.int32)


def _observation(state: StackingState) -> jax.Array:
    robot = jnp.append(state.gripper, (state.held >= 0).astype(jnp.float32))
    return observe(robot, state.task.present, state.blocks)


def _on(state: StackingState) -> jax.Array:
    """`[B, B]` bool: whether block i rests on block j."""
    away = state.blocks[:, None] - state.blocks[None]
    resting = (jnp.abs(away[..., 0]) <= SIDE / 2) & (jnp.abs(away[..., 1] - SIDE) < _EPSILON)
    loose = jnp.arange(len(state.blocks)) != state.held
    there = state.task.present & loose
    return resting & there[:, None] & there


def _right(state: StackingState) -> jax.Array:
    """`[B]` bool: whether a block is where the task has it."""
    on, below = _on(state), state.task.below
    stacked = jnp.take_along_axis(on, jnp.maximum(below, 0)[:, None], axis=1)[:, 0]
    table = (state.blocks[:, 1] < SIDE / 2 + _EPSILON) & (jnp.arange(len(below)) != state.held)
    return jnp.where(below >= 0, stacked, table)


def _top(state: StackingState, block: jax.Array) -> jax.Array:
    """The uppermost block of those that rest on this one; itself if there is none."""
    # Whatever rests on it, directly or not: the highest of those.
    over = jax.nn.one_hot(block, len(state.blocks), dtype=bool)
    on = _on(state)
    for _ in range(len(state.blocks) - 1):
        over |= (on & over).any(axis=1)
    return jnp.argmax(jnp.where(over, state.blocks[:, 1], -1)).astype(jnp.int32)


def _grasped(state: StackingState) -> jax.Array:
    """The block that closing takes hold of, or -1."""
    away = jnp.abs(state.blocks - state.gripper).max(axis=1)
    can = state.task.present & (away <= GRASP) & ~_on(state).any(axis=0)
    return jnp.where(can.any(), jnp.argmin(jnp.where(can, away, jnp.inf)), -1).astype(jnp.int32)


def named(task: Towers) -> str:
    """A task in letters, block 0 being a: towers in the order of their building, from the top."""
    below, rank, present = (np.asarray(x) for x in task)
    bases = [b for b in sorted(set(below[present].tolist())) if b >= 0 and below[b] < 0]
    towers = []
    for base in bases:
        tower = [base]
        while (above := np.flatnonzero((below == tower[0]) & present)).size:
            tower.insert(0, int(above[0]))
        towers.append((rank[tower].max(), "".join(chr(97 + block) for block in tower)))
    return " ".join(name for _, name in sorted(towers))
