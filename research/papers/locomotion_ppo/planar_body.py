"""Dynamics of a planar articulated body: a torso and identical limbs, on a height profile.

Own light dynamics where the paper has MuJoCo, so that the walker of Heess et al. 2017
(arXiv:1707.02286) can be trained on two cores. The plane has x forward and z up; angles turn x
towards z, in radians; lengths are in metres, masses in kilograms, forces in newtons.

Motion follows Featherstone's articulated-body algorithm (Rigid Body Dynamics Algorithms, 2008,
table 7.1) with spatial vectors `(w, x, z)` about a point that stands still at the torso for the
length of a step: motions are angular velocity and the velocity there, forces are the moment about
it and the force. Time goes on by semi-implicit Euler steps in which springs and dampers (joints,
their limits, contacts) are taken linearly at the step's end, so that they may be stiff. The ground
pushes on points of the body along its normal by a spring and a damper, and along itself by a
damper up to Coulomb's limit: feet that stand creep, if little.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp

Pair = tuple[jax.Array, jax.Array]
Spatial = tuple[jax.Array, ...]  # w, x, z
Inertia = tuple[jax.Array, ...]  # symmetric: ww, wx, wz, xx, xz, zz
# x of any shape -> height there, and slope.
Ground = Callable[[jax.Array], tuple[jax.Array, jax.Array]]


@dataclasses.dataclass(frozen=True)
class Link:
    """One link of a limb, hinged to the one before; at angle 0 it hangs straight down.

    Attributes:
      length: from its hinge to the next.
      mass: of it.
      center: of mass, from the hinge, at angle 0.
      inertia: about that center.
      limits: of the hinge's angle.
      torque: the greatest of its motor.
      points: that touch the ground, from the hinge, at angle 0.
    """

    length: float
    mass: float
    center: tuple[float, float]
    inertia: float
    limits: tuple[float, float]
    torque: float
    points: tuple[tuple[float, float], ...]


class Pose(NamedTuple):
    """Where a body is, and how it moves.

    Attributes:
      root: `[3]`, x, z and angle of the torso's center.
      joints: `[links, limbs]`, angles of the hinges.
      root_velocity: `[3]`.
      joint_velocity: `[links, limbs]`.
    """

    root: jax.Array
    joints: jax.Array
    root_velocity: jax.Array
    joint_velocity: jax.Array


class _Links(NamedTuple):
    """What the passes know of each link, from the torso on; each spatial, of `[limbs]`.

    Attributes:
      axes: of the hinges, motions per unit of their velocity.
      crosses: accelerations that come from the velocities alone.
      inertias: with those of the links after it, once the second pass has been there.
      biases: forces that it would take to keep velocities as they are; as the inertias.
    """

    axes: list[Spatial]
    crosses: list[Spatial]
    inertias: list[Inertia]
    biases: list[Spatial]


class _Points(NamedTuple):
    """The points of all links that may touch the ground.

    Attributes:
      x, z: `[P, limbs]`, from the torso's center.
      motion: of the links that they are on.
    """

    x: jax.Array
    z: jax.Array
    motion: Spatial


class _Hinge(NamedTuple):
    """Featherstone's U, 1 / D and u of a hinge."""

    u: Spatial
    d: jax.Array
    rest: jax.Array


@dataclasses.dataclass(frozen=True)
class PlanarBody:
    """A torso, and limbs of equal links at one point of it.

    Attributes:
      mass, inertia: of the torso.
      hinge: of the limbs, from the torso's center, at angle 0.
      links: of a limb, from the torso on.
      limbs: how many.
      time_step: in seconds.
      gravity: m/s^2.
      damping, armature: of the hinges.
      limit_stiffness, limit_damping: beyond their limits.
      stiffness, viscosity, friction: of a contact: N/m, N s/m along the normal, and Coulomb's
        coefficient.
      grip: N s/m along the ground.
    """

    mass: float
    inertia: float
    hinge: tuple[float, float]
    links: tuple[Link, ...]
    limbs: int = 2
    time_step: float = 0.005
    gravity: float = 9.81
    damping: float = 1.0
    armature: float = 0.02
    limit_stiffness: float = 3_000.0
    limit_damping: float = 30.0
    stiffness: float = 20_000.0
    viscosity: float = 300.0
    friction: float = 0.9
    grip: float = 1_000.0

    @property
    def total_mass(self) -> float:
        return self.mass + self.limbs * sum(link.mass for link in self.links)

    def step(self, pose: Pose, action: jax.Array, ground: Ground) -> tuple[Pose, jax.Array]:
        """Goes on by one `time_step`.

        Args:
          pose: before it.
          action: `[links, limbs]` in [-1, 1], of the largest torques.
          ground: heights and slopes.

        Returns:
          The pose, and the forces along the ground's normals on each link's points,
          `[points of all links, limbs]`.
        """
        w, vx, vz = pose.root_velocity[2], pose.root_velocity[0], pose.root_velocity[1]
        motion: Spatial = (w, vx, vz)
        torso = _inertia(self.mass, self.inertia, jnp.zeros(()), jnp.zeros(()))
        weight = (jnp.zeros(()), jnp.zeros(()), jnp.float32(self.mass * self.gravity))
        bias = _plus(_force_cross(motion, _times(torso, motion)), weight)

        links, points = self._outward(pose, motion)
        pressure = self._add_contacts(links, points, pose, ground)
        torque, drag = self._torques(pose, action)
        torso, bias, hinges = self._inward(links, torso, bias, torque, drag)
        acceleration = _solve(torso, [-x for x in bias])
        # The torso's center moves with it: its acceleration is not that of a point standing still.
        root_rate = jnp.stack([acceleration[1] - w * vz, acceleration[2] + w * vx, acceleration[0]])
        joint_rate = self._joint_rates(links, hinges, acceleration)

        root_velocity = pose.root_velocity + self.time_step * root_rate
        joint_velocity = pose.joint_velocity + self.time_step * joint_rate
        return Pose(
            pose.root + self.time_step * root_velocity,
            pose.joints + self.time_step * joint_velocity,
            root_velocity,
            joint_velocity,
        ), pressure

    def _outward(self, pose: Pose, motion: Spatial) -> tuple[_Links, _Points]:
        """First pass, from the torso to the limbs' ends: how every link moves, and its weight."""
        zero = jnp.zeros(self.limbs)
        links = _Links([], [], [], [])
        places, motions = [], []
        for k, ((px, pz), (sin, cos)) in enumerate(self._frames(pose)):
            link = self.links[k]
            axis: Spatial = (jnp.ones_like(px), pz, -px)
            rate = pose.joint_velocity[k]
            along = (axis[0] * rate, axis[1] * rate, axis[2] * rate)
            links.axes.append(axis)
            links.crosses.append(_motion_cross(motion, along))
            motion = _plus(motion, along)

            cx, cz = _turned(link.center, sin, cos)
            inertia = _inertia(link.mass, link.inertia, px + cx, pz + cz)
            weight = link.mass * self.gravity
            force = (weight * (px + cx), zero, zero + weight)
            links.inertias.append(inertia)
            links.biases.append(_plus(_force_cross(motion, _times(inertia, motion)), force))
            for point in link.points:
                x, z = _turned(point, sin, cos)
                places.append((px + x, pz + z))
                motions.append(motion)
        px, pz = map(jnp.stack, zip(*places, strict=True))
        return links, _Points(px, pz, tuple(map(jnp.stack, zip(*motions, strict=True))))

    def _add_contacts(
        self, links: _Links, points: _Points, pose: Pose, ground: Ground
    ) -> jax.Array:
        """Adds the ground's forces to the links; returns those along its normal."""
        added, push, pressure = self._contact(points, pose.root, ground)
        first = 0
        for k, link in enumerate(self.links):
            own = slice(first, first := first + len(link.points))
            links.inertias[k] = _plus(links.inertias[k], [x[own].sum(0) for x in added])
            links.biases[k] = _minus(links.biases[k], [x[own].sum(0) for x in push])
        return pressure

    def _torques(self, pose: Pose, action: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Torques of motors, limits and dampers `[links, limbs]`, and how they fall with speed."""
        low, high, max_torque = (
            jnp.array(x)[:, None]
            for x in zip(*((*link.limits, link.torque) for link in self.links), strict=True)
        )
        beyond = jnp.maximum(pose.joints - high, 0) + jnp.minimum(pose.joints - low, 0)
        limit_drag = self.limit_damping + self.time_step * self.limit_stiffness
        drag = self.damping + (beyond != 0) * limit_drag
        torque = max_torque * action - self.limit_stiffness * beyond - drag * pose.joint_velocity
        return torque, drag

    def _inward(
        self,
        links: _Links,
        torso: Inertia,
        bias: Spatial,
        torque: jax.Array,
        drag: jax.Array,
    ) -> tuple[Inertia, Spatial, list[_Hinge]]:
        """Second pass, from the limbs' ends to the torso: what each link is to the one before it.

        Returns:
          Inertia and bias of the torso with all that hangs on it, and the hinges.
        """
        hinges: list[_Hinge] = []
        for k in reversed(range(len(self.links))):
            inertia, axis = links.inertias[k], links.axes[k]
            u = _times(inertia, axis)
            d = 1 / (_dot(axis, u) + self.armature + self.time_step * drag[k])
            rest = torque[k] - _dot(axis, links.biases[k])
            hinges.insert(0, _Hinge(u, d, rest))
            freely = (
                u[0] * u[0] * d,
                u[0] * u[1] * d,
                u[0] * u[2] * d,
                u[1] * u[1] * d,
                u[1] * u[2] * d,
                u[2] * u[2] * d,
            )
            # What the link before it feels: no inertia about the hinge's axis, where it gives way.
            inertia = _minus(inertia, freely)
            force = _plus(
                _plus(links.biases[k], _times(inertia, links.crosses[k])),
                (u[0] * rest * d, u[1] * rest * d, u[2] * rest * d),
            )
            if k:
                links.inertias[k - 1] = _plus(links.inertias[k - 1], inertia)
                links.biases[k - 1] = _plus(links.biases[k - 1], force)
        torso = _plus(torso, [x.sum() for x in inertia])
        return torso, _plus(bias, [x.sum() for x in force]), hinges

    def _joint_rates(self, links: _Links, hinges: list[_Hinge], acceleration: Spatial) -> jax.Array:
        """Third pass, from the torso outward: accelerations of the hinges `[links, limbs]`."""
        rates = []
        for k, (u, d, rest) in enumerate(hinges):
            acceleration = _plus(acceleration, links.crosses[k])
            rate = (rest - _dot(u, acceleration)) * d
            acceleration = _plus(acceleration, [x * rate for x in links.axes[k]])
            rates.append(rate)
        return jnp.stack(rates)

    def hinges(self, pose: Pose) -> jax.Array:
        """Where each link begins `[links, limbs, 2]`, in the world."""
        places = [jnp.stack(place, -1) for place, _ in self._frames(pose)]
        return jnp.stack(places) + pose.root[:2]

    def points(self, pose: Pose) -> jax.Array:
        """Where the points that touch the ground are `[points of all links, limbs, 2]`."""
        places = []
        for link, ((px, pz), (sin, cos)) in zip(self.links, self._frames(pose), strict=True):
            for point in link.points:
                x, z = _turned(point, sin, cos)
                places.append(jnp.stack([px + x, pz + z], -1))
        return jnp.stack(places) + pose.root[:2]

    def _frames(self, pose: Pose) -> list[tuple[Pair, Pair]]:
        """The hinge of each link, from the torso's center, and sine and cosine of its angle."""
        angle = jnp.broadcast_to(pose.root[2], (self.limbs,))
        px, pz = _turned(self.hinge, jnp.sin(angle), jnp.cos(angle))
        frames = []
        for k, link in enumerate(self.links):
            angle = angle + pose.joints[k]
            sin, cos = jnp.sin(angle), jnp.cos(angle)
            frames.append(((px, pz), (sin, cos)))
            px, pz = px + link.length * sin, pz - link.length * cos
        return frames

    def _contact(
        self, points: _Points, root: jax.Array, ground: Ground
    ) -> tuple[Inertia, Spatial, jax.Array]:
        """Forces of the ground on points.

        Args:
          points: of all links.
          root: of the pose.
          ground: heights and slopes.

        Returns:
          The inertia that stands for the forces' change within the step; the forces as things are;
          and their parts along the normal.
        """
        px, pz, motion = points
        height, slope = ground(px + root[0])
        nz = jax.lax.rsqrt(1 + slope * slope)
        nx = -slope * nz
        depth = (height - pz - root[1]) * nz
        vx, vz = motion[1] - motion[0] * pz, motion[2] + motion[0] * px
        out, along = vx * nx + vz * nz, vx * nz - vz * nx
        damper = self.viscosity + self.time_step * self.stiffness
        pressure = self.stiffness * depth - damper * out
        touches = (depth > 0) & (pressure > 0)  # the ground does not pull
        pressure = jnp.where(touches, pressure, 0.0)
        resistance = jnp.where(touches, damper, 0.0)
        grip = jnp.minimum(self.grip, self.friction * pressure / (jnp.abs(along) + 1e-6))
        fx, fz = pressure * nx - grip * along * nz, pressure * nz + grip * along * nx
        # The force falls by C per velocity of the point, which is (x, z) + w (-pz, px).
        xx = resistance * nx * nx + grip * nz * nz
        xz = (resistance - grip) * nx * nz
        zz = resistance * nz * nz + grip * nx * nx
        wx, wz = xz * px - xx * pz, zz * px - xz * pz
        ww = wz * px - wx * pz
        dt = self.time_step
        added = (dt * ww, dt * wx, dt * wz, dt * xx, dt * xz, dt * zz)
        return added, (px * fz - pz * fx, fx, fz), pressure


def _turned(point: tuple[float, float], sin: jax.Array, cos: jax.Array) -> Pair:
    x, z = point
    return x * cos - z * sin, x * sin + z * cos


def _plus(a: Sequence, b: Sequence) -> tuple:
    return tuple(x + y for x, y in zip(a, b, strict=True))


def _minus(a: Sequence, b: Sequence) -> tuple:
    return tuple(x - y for x, y in zip(a, b, strict=True))


def _dot(a: Sequence, b: Sequence) -> jax.Array:
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def _inertia(mass: float, inertia: float, x: jax.Array, z: jax.Array) -> Inertia:
    """The spatial inertia of a link with its center of mass at (x, z)."""
    one = jnp.full_like(x, mass)
    return inertia + mass * (x * x + z * z), -mass * z, mass * x, one, jnp.zeros_like(x), one


def _times(inertia: Sequence, motion: Sequence) -> Spatial:
    ww, wx, wz, xx, xz, zz = inertia
    w, x, z = motion
    return ww * w + wx * x + wz * z, wx * w + xx * x + xz * z, wz * w + xz * x + zz * z


def _motion_cross(a: Spatial, b: Spatial) -> Spatial:
    return jnp.zeros_like(b[0]), b[0] * a[2] - a[0] * b[2], a[0] * b[1] - b[0] * a[1]


def _force_cross(motion: Spatial, force: Spatial) -> Spatial:
    w, x, z = motion
    return x * force[2] - z * force[1], -w * force[2], w * force[1]


def _solve(matrix: Sequence, right: Sequence) -> Spatial:
    """Solves a symmetric positive definite system by square-root-free Cholesky factors."""
    ww, wx, wz, xx, xz, zz = matrix
    inverse = 1 / zz
    a, b = wz * inverse, xz * inverse  # eliminates z, then x
    ww, wx, xx = ww - a * wz, wx - a * xz, xx - b * xz
    r0, r1 = right[0] - a * right[2], right[1] - b * right[2]
    c = wx / xx
    w = (r0 - c * r1) / (ww - c * wx)
    x = (r1 - wx * w) / xx
    return w, x, (right[2] - wz * w - xz * x) * inverse


def walker() -> PlanarBody:
    """The planar walker: 9 degrees of freedom, 6 torques.

    Sizes and masses are ours: the paper gives none.
    """
    rad = jnp.pi / 180
    thigh = Link(0.42, 4.0, (0.0, -0.2), 0.06, (-40 * rad, 110 * rad), 150.0, ())
    shin = Link(
        0.42, 2.5, (0.0, -0.2), 0.04, (-150 * rad, -2 * rad), 150.0, ((0.0, 0.0), (0.0, -0.21))
    )
    foot = Link(
        0.0, 1.0, (0.06, -0.04), 0.005, (-45 * rad, 45 * rad), 80.0, ((-0.06, -0.06), (0.18, -0.06))
    )
    return PlanarBody(mass=12.0, inertia=0.5, hinge=(0.0, -0.3), links=(thigh, shin, foot))
