"""Atari games played on the host: an actor that is a source of experience.

For accelerators on whose host alone the emulators can run. The actor takes the state before each
step, chooses actions with its parameters, steps the emulators, and hands over what happened as the
step's batch. Inside the step `MirroredAtari` is the environment: it takes its answers from there.
Each process plays its own share of the games.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import io_callback

from research.core.errors import UserError
from research.core.experiment import Source
from research.rl.envs.ale import FRAME, AtariSpec, Emulators, EpisodeLog, HostAtari, episode_seeds
from research.rl.envs.environments import Array, Step

Report = dict[str, Array]


def _report_spec(num_envs: int) -> Report:
    kinds = {
        "action": ((), jnp.int32),
        "frame": (FRAME, jnp.uint8),
        "final_frame": (FRAME, jnp.uint8),
        "reward": ((), jnp.float32),
        "terminated": ((), jnp.bool_),
        "truncated": ((), jnp.bool_),
        "life_lost": ((), jnp.bool_),
        "next_seed": ((), jnp.int32),
    }
    return {k: jax.ShapeDtypeStruct((num_envs, *s), d) for k, (s, d) in kinds.items()}


@flax.struct.dataclass
class MirrorState:
    """What the environment inside a step carries on.

    Attributes:
      log: of the unfinished episodes.
      report: the actor's, of this step: leaves `[N, ...]`.
    """

    log: EpisodeLog
    report: Report


class MirroredAtari:
    """The environment inside a step whose games were played by a `HostActor`.

    `step` takes its answers from the report, which holds the action it belongs to.
    """

    on_host = False
    action_size = 0

    def __init__(self, spec: AtariSpec):
        self.spec = spec
        self.num_envs = spec.num_envs
        self.frames_per_step = spec.action_repeat

    @property
    def num_actions(self) -> int:
        return Emulators(dataclasses.replace(self.spec, num_envs=1)).num_actions

    @property
    def observation_space(self) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct(FRAME, jnp.uint8)

    def reset(self, key: jax.Array) -> tuple[jax.Array, MirrorState]:
        n = self.num_envs
        seed = episode_seeds(key, n)
        # The first frames are a function of the seeds: emulators made for this alone find them.
        frames = io_callback(
            lambda s: Emulators(self.spec).reset(s)[0],
            jax.ShapeDtypeStruct((n, *FRAME), jnp.uint8),
            seed,
        )
        report = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), _report_spec(n))
        return frames, MirrorState(EpisodeLog.start(seed, self.spec.max_steps), report)

    def receive(self, env_state: MirrorState, batch: Report) -> MirrorState:
        return MirrorState(env_state.log, batch)

    def step(self, key: jax.Array, env_state: MirrorState, action: jax.Array) -> Step:
        report = env_state.report
        terminated, truncated = report["terminated"], report["truncated"]
        log = env_state.log.record(action, terminated | truncated, report["next_seed"])
        info = {"final_observation": report["final_frame"], "life_lost": report["life_lost"]}
        env_state = MirrorState(log, report)
        return report["frame"], env_state, report["reward"], terminated, truncated, info


class HostActor(Source):
    """Plays with the current parameters.

    Args:
      spec: the games of all processes.
      act: `(state, t, key) -> action [N]` in step t, jittable.
      find: gives the `MirrorState` in the experiment's state.
      seed: of the actor's keys; the key of step t is a function of seed and t.
    """

    prefetch, every_step = 0, True  # acts on the newest state
    sized_by = "env.num_envs"

    def __init__(
        self,
        spec: AtariSpec,
        act: Callable[[Any, jax.Array, jax.Array], jax.Array],
        find: Callable[[Any], MirrorState],
        seed: int,
    ):
        processes = jax.process_count()
        if spec.num_envs % processes:
            raise UserError(
                f"{spec.num_envs} environments do not divide by {processes} processes; "
                "change --config.env.num_envs"
            )
        self.env = HostAtari(dataclasses.replace(spec, num_envs=spec.num_envs // processes))
        self.act, self.find, self.seed = jax.jit(act), find, seed
        self.spec = _report_spec(spec.num_envs)
        self._step = 0
        self._lives: np.ndarray | None = None

    def open(self) -> None:
        _ = self.env.emulators.vector
        self._lives = None

    def __call__(self, state: Any) -> Report:
        if self._lives is None:
            self._lives = self.env.emulators.restore(jax.tree.map(_rows, self.find(state).log))
        key = jax.random.fold_in(jax.random.key(self.seed), self._step)
        act_key, env_key = jax.random.split(key)
        action = _rows(self.act(state, np.int32(self._step), act_key))
        # Every process its own episodes.
        env_key = jax.random.fold_in(env_key, jax.process_index())
        frame, self._lives, reward, terminated, truncated, info = self.env.step(
            env_key, self._lives, action
        )
        self._step += 1
        return {
            "action": action,
            "frame": frame,
            "final_frame": info["final_observation"],
            "reward": reward,
            "terminated": terminated,
            "truncated": truncated,
            "life_lost": info["life_lost"],
            "next_seed": info["next_seed"],
        }

    def get_state(self) -> dict[str, Any]:
        return {"step": self._step}

    def set_state(self, state: dict[str, Any]) -> None:
        self._step = state["step"]


def _rows(x: jax.Array) -> np.ndarray:
    """This process's rows of an array that is split over axis 0, or not split at all."""
    shards = {s.index[0].start or 0: s.data for s in x.addressable_shards}
    rows = np.concatenate([np.asarray(shards[start]) for start in sorted(shards)])
    share = len(x) // jax.process_count()
    return rows if len(rows) == share else rows[jax.process_index() * share :][:share]
