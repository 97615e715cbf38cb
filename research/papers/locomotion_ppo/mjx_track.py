"""The quadruped and the humanoid on tracks with obstacles, in MuJoCo's physics (MJX).

Bodies of Heess et al. 2017 (arXiv:1707.02286, section 4): a quadruped of 12 torques, and a humanoid
of 28 coordinates and 21 torques, whose joints are those of the DeepMind control suite; sizes and
masses are ours, as are the weights of the reward. MJX is an extra: `pip install
"landmarks[locomotion]"`.

Proprioception: orientation (the world's up and forward seen from the body), velocities in the
body's axes, angles and velocities of the joints. Exteroception: where across the track the body is,
and the heights of the ground around and ahead, from the body's: a blind body does not know its own
height. The reward of a step is the way forward in metres, less small costs of torques and of
leaving the track's middle, plus a small one of an upright body. Only a window of the terrain around
the body is laid before the simulator.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import Any, NamedTuple

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np

from research.core.errors import UserError
from research.papers.locomotion_ppo.terrain import CELL, PIT, START
from research.papers.locomotion_ppo.tracks import Limbs, OnTracks

_SEEN_X = np.arange(-2, 13) * 0.25  # metres ahead
_SEEN_Y = np.arange(-3, 4) * 0.4
_COLUMNS = 32  # of the window
_SUBSTEPS = 4
_IN_A_GAP = -0.3
_HIGHEST = 1.5  # of the terrain


class BodySpec(NamedTuple):
    """A body for MuJoCo.

    Attributes:
      xml: its MJCF elements.
      actuators: hinges that have a motor, with its torque.
      height: of the root where an episode begins.
      fallen: height of the root above the ground below which the body has fallen.
    """

    xml: str
    actuators: dict[str, float]
    height: float
    fallen: float


class BodyState(flax.struct.PyTreeNode):
    """The body in the middle of an episode.

    Attributes:
      qpos, qvel: MuJoCo's coordinates and velocities.
      warm: accelerations that the solver starts from.
      track: the track's number.
      time: in steps.
    """

    qpos: jax.Array
    qvel: jax.Array
    warm: jax.Array
    track: jax.Array
    time: jax.Array


@dataclasses.dataclass(frozen=True, eq=False)
class MJXTrack(OnTracks):
    """A body in MJX; it has fallen when its root is low, leans, is in a gap or beside the track.

    Attributes:
      body: "quadruped" or "humanoid".
      control_cost: per second, of the sum of squared actions.
      upright_reward: per second, of the body's upward axis.
      off_middle_cost: per second, of the squared distance from the track's middle line.
    """

    body: str = "quadruped"
    control_cost: float = 0.02
    upright_reward: float = 0.1
    off_middle_cost: float = 0.05

    @property
    def action_size(self) -> int:
        return len(BODIES[self.body].actuators)

    @property
    def proprioception(self) -> int:
        return 12 + 2 * self.action_size

    @property
    def sensors(self) -> int:
        return 1 + len(_SEEN_X) * len(_SEEN_Y)

    @property
    def step_seconds(self) -> float:
        return _SUBSTEPS * 0.005

    @functools.cached_property
    def model(self) -> Any:
        """MuJoCo's, of the body and the window of terrain."""
        return load_engine()[0].MjModel.from_xml_string(_scene(self.body, self.tracks.width))

    @functools.cached_property
    def simulator(self) -> tuple[Any, Any, Any]:
        """MJX, its model of the body, and empty data: arrays on the host."""
        mjx, model = load_engine()[1], self.model
        host = functools.partial(jax.tree.map, np.asarray)
        # Often first asked for while a step is traced, where the loop forbids transfers.
        with jax.ensure_compile_time_eval(), jax.transfer_guard("allow"):
            return mjx, host(mjx.put_model(model)), host(mjx.make_data(model))

    def begin(self, key: jax.Array, track: jax.Array) -> tuple[jax.Array, BodyState]:
        """Begins upright in the track's middle, but for a little noise."""
        n = self.action_size
        noise = jax.random.uniform(key, (2 * n,), minval=-0.05, maxval=0.05)
        root = jnp.array([START, 0, BODIES[self.body].height, 1, 0, 0, 0])
        env_state = BodyState(
            jnp.concatenate([root, noise[:n]]),
            jnp.concatenate([jnp.zeros(6), noise[n:]]),
            jnp.zeros(6 + n),
            track,
            jnp.zeros((), jnp.int32),
        )
        return self.observe(env_state), env_state

    def advance(
        self, env_state: BodyState, action: jax.Array
    ) -> tuple[jax.Array, BodyState, jax.Array, jax.Array, jax.Array]:
        mjx, model, data = self.simulator
        model, data = jax.tree.map(jnp.asarray, (model, data))
        action = jnp.clip(action, -1, 1)
        # The window's first column, and its middle in the world: the field's own origin.
        rows, columns = self.tracks.heights.shape[1:]
        first = jnp.clip(
            jnp.round(env_state.qpos[0] / CELL).astype(jnp.int32) - _COLUMNS // 2,
            0,
            columns - _COLUMNS,
        )
        window = jax.lax.dynamic_slice(
            jnp.asarray(self.tracks.heights), (env_state.track, 0, first), (1, rows, _COLUMNS)
        )
        middle = (first + (_COLUMNS - 1) / 2) * CELL
        model = model.replace(
            hfield_data=((window - PIT) / (_HIGHEST - PIT)).reshape(-1),
            geom_pos=model.geom_pos.at[0, 0].set(middle),
        )
        data = data.replace(
            qpos=env_state.qpos, qvel=env_state.qvel, qacc_warmstart=env_state.warm, ctrl=action
        )
        data = jax.lax.fori_loop(0, _SUBSTEPS, lambda _, d: mjx.step(model, d), data)
        after = BodyState(
            data.qpos, data.qvel, data.qacc_warmstart, env_state.track, env_state.time + 1
        )
        x, y, z = after.qpos[:3]
        up = _rotation(after.qpos[3:7])[2, 2]
        cost = (
            self.control_cost * (action**2).sum()
            - self.upright_reward * up
            + self.off_middle_cost * y**2
        )
        reward = x - env_state.qpos[0] - self.step_seconds * cost
        ground = self.tracks.surface(after.track, x, y)
        terminated = (
            (z - ground < BODIES[self.body].fallen)
            | (up < 0.5)
            | (z < _IN_A_GAP)
            | (jnp.abs(y) > self.tracks.width / 2)
        )
        over = (after.time >= self.horizon) | (x > self.tracks.length - 1.0)
        return self.observe(after), after, reward, terminated, over

    def place(self, env_state: BodyState) -> jax.Array:
        return env_state.qpos[0]

    def limbs(self, states: BodyState) -> Limbs:
        """A line through the length of each solid in states `[T, ...]`, to be drawn."""
        mujoco, model = load_engine()[0], self.model
        data, solids = mujoco.MjData(model), slice(1, None)  # the first is the terrain
        size, kind = model.geom_size[solids], model.geom_type[solids]
        box, capsule = (
            kind == int(getattr(mujoco.mjtGeom, f"mjGEOM_{name}")) for name in ("BOX", "CAPSULE")
        )
        half = np.where(box, size[:, 0] - size[:, 2], np.where(capsule, size[:, 1], 0))
        lengthwise, radius = np.where(box, 0, 2), np.where(box, size[:, 2], size[:, 0])

        def ends(qpos: np.ndarray) -> np.ndarray:
            data.qpos[:] = qpos
            mujoco.mj_kinematics(model, data)
            axes = data.geom_xmat[solids].reshape(-1, 3, 3)
            axis = axes[np.arange(len(axes)), :, lengthwise] * half[:, None]
            middle = data.geom_xpos[solids]
            return np.stack([middle - axis, middle + axis], axis=1)

        aside = ends(model.qpos0).mean(axis=1)[:, 1]
        side = np.where(np.abs(aside) < 0.05, 0, -np.sign(aside)).astype(int)
        places = np.stack([ends(qpos)[..., [0, 2]] for qpos in np.asarray(states.qpos)])
        return Limbs(places, radius, side)

    def observe(self, env_state: BodyState) -> jax.Array:
        """The observation, `[proprioception + exteroception]`."""
        x, y, z = env_state.qpos[:3]
        turn = _rotation(env_state.qpos[3:7])
        spin = env_state.qvel[3:6]  # MuJoCo's free joint has it in the body's axes
        proprioception = jnp.concatenate(
            [
                turn[2],
                turn[0],
                turn.T @ env_state.qvel[:3],
                spin,
                env_state.qpos[7:],
                env_state.qvel[6:],
            ]
        )
        if self.blind:
            return proprioception
        heights = self.tracks.surface(
            env_state.track, x + jnp.asarray(_SEEN_X)[:, None], y + jnp.asarray(_SEEN_Y)
        )
        return jnp.concatenate([proprioception, y[None], (heights - z).reshape(-1)])


def load_engine() -> tuple[Any, Any]:
    """MuJoCo, and MJX.

    Raises:
      UserError: they are not installed.
    """
    try:
        import mujoco
        from mujoco import mjx
    except ImportError:
        raise UserError(
            "quadruped and humanoid need MuJoCo's physics: pip install -e '.[locomotion]'"
        ) from None
    return mujoco, mjx


def _rotation(quaternion: jax.Array) -> jax.Array:
    """Matrix `[3, 3]` from the body's axes to the world's, of (w, x, y, z)."""
    w, x, y, z = quaternion / jnp.linalg.norm(quaternion)
    return jnp.array(
        [
            [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
            [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
            [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
        ]
    )


def _scene(body: str, width: float) -> str:
    spec = BODIES[body]
    motors = "".join(
        f'<motor joint="{joint}" gear="{torque}" ctrlrange="-1 1"/>'
        for joint, torque in spec.actuators.items()
    )
    rows, half = round(width / CELL) + 1, (_COLUMNS - 1) / 2 * CELL
    return f"""<mujoco>
      <compiler angle="degree" autolimits="true"/>
      <option timestep="0.005" iterations="4" ls_iterations="6"><flag eulerdamp="disable"/></option>
      <default>
        <joint damping="1" armature="0.02"/>
        <geom contype="0" conaffinity="0" density="700" friction="0.9"/>
        <default class="touches"><geom contype="1"/></default>
      </default>
      <asset><hfield name="terrain" nrow="{rows}" ncol="{_COLUMNS}"
        size="{half} {width / 2} {_HIGHEST - PIT} 0.1"/></asset>
      <worldbody>
        <geom type="hfield" hfield="terrain" pos="0 0 {PIT}" conaffinity="1"/>
        {spec.xml}
      </worldbody>
      <actuator>{motors}</actuator>
    </mujoco>"""


def _quadruped() -> BodySpec:
    legs, actuators = "", dict[str, float]()
    for name, x, y in (("fl", 1, 1), ("fr", 1, -1), ("bl", -1, 1), ("br", -1, -1)):
        legs += f"""<body pos="{0.25 * x} {0.15 * y} 0">
          <joint name="{name}_roll" axis="1 0 0" range="-40 40"/>
          <joint name="{name}_hip" axis="0 -1 0" range="-60 60"/>
          <geom type="capsule" fromto="0 0 0 0 {0.06 * y} -0.25" size="0.045"/>
          <body pos="0 {0.06 * y} -0.25">
            <joint name="{name}_knee" axis="0 -1 0" range="-80 80"/>
            <geom type="capsule" fromto="0 0 0 0 0 -0.25" size="0.035"/>
            <geom class="touches" type="sphere" pos="0 0 -0.25" size="0.05"/>
          </body></body>"""
        actuators |= {f"{name}_roll": 60.0, f"{name}_hip": 80.0, f"{name}_knee": 80.0}
    xml = f"""<body><freejoint/>
      <geom type="box" size="0.32 0.12 0.07"/>
      <geom class="touches" type="sphere" pos="0.25 0 0" size="0.12" mass="0.5"/>{legs}</body>"""
    return BodySpec(xml, actuators, 0.55, 0.25)


def _humanoid() -> BodySpec:
    """Hinges and their ranges as in the DeepMind control suite's humanoid."""
    actuators = {"abdomen_z": 60.0, "abdomen_y": 80.0, "abdomen_x": 60.0}
    legs = arms = ""
    for side, s in (("right", -1), ("left", 1)):
        legs += f"""<body pos="0 {0.1 * s} -0.04">
          <joint name="{side}_hip_x" axis="{-s} 0 0" range="-25 5"/>
          <joint name="{side}_hip_z" axis="0 0 {-s}" range="-60 35"/>
          <joint name="{side}_hip_y" axis="0 1 0" range="-110 20"/>
          <geom type="capsule" fromto="0 0 0 0 {-0.01 * s} -0.34" size="0.06"/>
          <body pos="0 {-0.01 * s} -0.40">
            <joint name="{side}_knee" axis="0 1 0" range="2 160" ref="2"/>
            <geom type="capsule" fromto="0 0 0 0 0 -0.3" size="0.049"/>
            <body pos="0 0 -0.39">
              <joint name="{side}_ankle_y" axis="0 1 0" range="-50 50"/>
              <joint name="{side}_ankle_x" axis="1 0 0.5" range="-50 50"/>
              <geom class="touches" type="sphere" pos="-0.07 0 -0.05" size="0.04"/>
              <geom class="touches" type="sphere" pos="0.14 0 -0.05" size="0.04"/>
            </body></body></body>"""
        arms += f"""<body pos="0 {0.17 * s} 0.06">
          <joint name="{side}_shoulder1" axis="2 {-s} 1" range="-85 60"/>
          <joint name="{side}_shoulder2" axis="0 1 {s}" range="-85 60"/>
          <geom type="capsule" fromto="0 0 0 0.16 {0.16 * s} -0.16" size="0.04"/>
          <body pos="0.18 {0.18 * s} -0.18">
            <joint name="{side}_elbow" axis="0 -1 {-s}" range="-90 50"/>
            <geom type="capsule" fromto="0 0 0 0.17 {-0.17 * s} 0.17" size="0.031"/>
            <geom type="sphere" pos="0.18 {-0.18 * s} 0.18" size="0.04"/>
          </body></body>"""
        actuators |= {
            f"{side}_{joint}": torque
            for joint, torque in (
                ("hip_x", 60.0),
                ("hip_z", 60.0),
                ("hip_y", 150.0),
                ("knee", 120.0),
                ("ankle_y", 60.0),
                ("ankle_x", 30.0),
                ("shoulder1", 30.0),
                ("shoulder2", 30.0),
                ("elbow", 30.0),
            )
        }
    xml = f"""<body><freejoint/>
      <geom class="touches" type="sphere" size="0.12"/>
      <geom type="capsule" fromto="0 -0.07 0.06 0 0.07 0.06" size="0.1"/>
      <geom type="sphere" pos="0 0 0.28" size="0.1"/>{arms}
      <body pos="0 0 -0.26">
        <joint name="abdomen_z" axis="0 0 1" range="-45 45"/>
        <joint name="abdomen_y" pos="0 0 0.06" axis="0 1 0" range="-75 30"/>
        <geom type="capsule" fromto="0 -0.06 0 0 0.06 0" size="0.08"/>
        <body pos="0 0 -0.16">
          <joint name="abdomen_x" pos="0 0 0.1" axis="1 0 0" range="-35 35"/>
          <geom class="touches" type="sphere" size="0.1"/>{legs}
        </body></body></body>"""
    return BodySpec(xml, actuators, 1.35, 0.8)


BODIES = {"quadruped": _quadruped(), "humanoid": _humanoid()}
