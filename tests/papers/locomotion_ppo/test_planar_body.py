"""The planar body's motion against mechanics: Lagrange's equations in NumPy, conserved quantities,
known forces, and MuJoCo where it is installed."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from research.papers.locomotion_ppo.planar_body import Pose, walker

BODY = walker()
FREE = dataclasses.replace(BODY, damping=0.0, limit_stiffness=0.0, limit_damping=0.0, armature=0.0)
G = BODY.gravity


def nowhere(x):
    """Ground far below."""
    return jnp.full_like(x, -100.0), jnp.zeros_like(x)


def flat(x):
    return jnp.zeros_like(x), jnp.zeros_like(x)


def pose(q, v):
    """From coordinates [x, z, pitch, joints of one leg, of the other] and their velocities."""
    q, v = jnp.float32(q), jnp.float32(v)
    return Pose(q[:3], q[3:].reshape(2, 3).T, v[:3], v[3:].reshape(2, 3).T)


def coordinates(root, joints):
    return np.concatenate([root, np.asarray(joints).T.ravel()]).astype(np.float64)


def random_state(seed):
    rng = np.random.default_rng(seed)
    low, high = np.array([link.limits for link in BODY.links]).T
    joints = low + (high - low) * rng.uniform(0.1, 0.9, (2, 3))
    q = np.concatenate([rng.normal(size=3), joints.ravel()])
    return q, 2 * rng.normal(size=9), rng.uniform(-1, 1, (3, 2))


def centers(body, q):
    """Mass, inertia, center x, z, and angle of every part [7, 5], straight from trigonometry."""

    def turned(point, a):
        return np.array(
            [
                point[0] * np.cos(a) - point[1] * np.sin(a),
                point[0] * np.sin(a) + point[1] * np.cos(a),
            ]
        )

    parts = [(body.mass, body.inertia, *q[:2], q[2])]
    for leg in q[3:].reshape(2, 3):
        angle, place = q[2], q[:2] + turned(body.hinge, q[2])
        for link, joint in zip(body.links, leg, strict=True):
            angle = angle + joint
            parts.append((link.mass, link.inertia, *(place + turned(link.center, angle)), angle))
            place = place + turned((0, -link.length), angle)
    return np.array(parts)


def mass_matrix(body, q, eps=1e-5):
    moved = np.stack(
        [(centers(body, q + e) - centers(body, q - e))[:, 2:] / (2 * eps) for e in eps * np.eye(9)],
        axis=-1,
    )  # [7, 3, 9]
    mass, inertia = centers(body, q)[:, :2].T
    weights = np.stack([mass, mass, inertia], axis=1)
    armature = body.armature * np.diag([0] * 3 + [1] * 6)
    return np.einsum("pi,pij,pik->jk", weights, moved, moved) + armature


def energy(body, q, v):
    mass, _, _, z, _ = centers(body, q).T
    return v @ mass_matrix(body, q) @ v / 2 + body.gravity * (mass * z).sum()


def lagrange(body, q, v, torque, eps=1e-5):
    """Accelerations [9] by Lagrange's equations, all derivatives by differences."""
    change = (mass_matrix(body, q + eps * v) - mass_matrix(body, q - eps * v)) / (2 * eps)

    def lagrangian(x):
        return energy(body, x, v) - 2 * energy(body, x, 0 * v)  # kinetic less potential

    force = np.array([(lagrangian(q + e) - lagrangian(q - e)) / (2 * eps) for e in eps * np.eye(9)])
    applied = np.concatenate([np.zeros(3), torque]) - body.damping * np.r_[np.zeros(3), v[3:]]
    return np.linalg.solve(mass_matrix(body, q), applied + force - change @ v)


def rates(body, q, v, action, ground=nowhere):
    after, _ = body.step(pose(q, v), jnp.float32(action), ground)
    return (coordinates(after.root_velocity, after.joint_velocity) - v) / body.time_step


@pytest.mark.parametrize("seed", range(3))
def test_accelerations_are_those_of_lagranges_equations(seed):
    body = dataclasses.replace(BODY, time_step=1e-3)
    q, v, action = random_state(seed)
    torque = (action * np.array([[link.torque] for link in body.links])).T.ravel()
    # The step takes the hinges' friction at its end, as more inertia.
    implicit = dataclasses.replace(body, armature=body.armature + body.time_step * body.damping)
    expected = lagrange(implicit, q, v, torque)
    np.testing.assert_allclose(rates(body, q, v, action), expected, rtol=2e-3, atol=0.2)


def run(body, q, v, steps, ground=nowhere, action=0.0):
    torques = jnp.full((3, 2), action)

    def body_step(p, _):
        p, force = body.step(p, torques, ground)
        return p, (p, force)

    return jax.jit(lambda p: jax.lax.scan(body_step, p, None, length=steps))(pose(q, v))[1]


def test_free_flight_conserves_energy_and_momentum_and_falls_as_bodies_fall():
    q, v, _ = random_state(0)
    errors = []
    for time_step in (1e-3, 5e-4):
        body = dataclasses.replace(FREE, time_step=time_step)
        poses, _ = run(body, q, v, round(0.4 / time_step))
        end = jax.tree.map(lambda x: np.asarray(x[-1], np.float64), poses)
        q1 = coordinates(end.root, end.joints)
        v1 = coordinates(end.root_velocity, end.joint_velocity)
        errors.append(abs(energy(body, q1, v1) - energy(body, q, v)))
        mass = centers(body, q)[:, 0]

        def middle(x, mass=mass, body=body):
            return (mass @ centers(body, x)[:, 2:4]) / mass.sum()

        def momentum(x, u, body=body, mass=mass):
            eps = 1e-6
            moved = (centers(body, x + eps * u) - centers(body, x - eps * u))[:, 2:] / (2 * eps)
            arm = centers(body, x)[:, 2:4] - middle(x)
            spin = mass * (arm[:, 0] * moved[:, 1] - arm[:, 1] * moved[:, 0])
            return np.r_[mass @ moved[:, :2], (spin + centers(body, x)[:, 1] * moved[:, 2]).sum()]

        expected = momentum(q, v) - [0, body.total_mass * G * 0.4, 0]
        np.testing.assert_allclose(momentum(q1, v1), expected, atol=0.02 * body.total_mass * 1.0)
        start = momentum(q, v)[:2] / body.total_mass
        fallen = middle(q) + 0.4 * start - [0, G * 0.4**2 / 2]
        np.testing.assert_allclose(middle(q1), fallen, atol=6 * time_step)
    kinetic = energy(FREE, q, v) - energy(FREE, q, 0 * v)
    assert errors[0] < 0.05 * kinetic and errors[1] < 0.7 * errors[0]


def standing(body):
    """Stiff-kneed on both feet, hips and ankles in the middle of the sole."""
    return np.array(
        [
            0,
            body.links[0].length
            + body.links[1].length
            - body.hinge[1]
            - body.links[2].points[0][1],
            0,
            *[0.0, -0.04, 0.04] * 2,
        ]
    )


def test_the_ground_carries_the_weight_and_stands_still():
    # Hinges that do not move: what stands is one rigid body.
    body = dataclasses.replace(BODY, damping=1e7)
    q = standing(body)
    q[[0, 2]] = 0.0, 0.03
    poses, force = run(body, q, np.zeros(9), 3000, flat)
    vertical = np.asarray(force[-1]).sum()
    np.testing.assert_allclose(vertical, body.total_mass * G, rtol=1e-3)
    assert np.abs(poses.root_velocity[-1]).max() < 1e-3
    # A spring alone carries it: each end of the foot is as deep as its force says.
    points = np.asarray(body.points(jax.tree.map(lambda x: x[-1], poses)))
    np.testing.assert_allclose(-points[-2:, :, 1] * body.stiffness, force[-1][-2:], atol=0.5)


@pytest.mark.parametrize(("slope", "slides"), [(0.5, False), (1.3, True)])
def test_friction_holds_up_to_its_limit(slope, slides):
    """A body at rest on an incline, below and above the angle of friction."""
    body = dataclasses.replace(BODY, damping=1e7, time_step=0.002)
    angle = np.arctan(slope)
    q = standing(body)
    q[:3] = -np.sin(angle) * q[1], np.cos(angle) * q[1], angle
    # The feet far apart, lest it topple: hips spread.
    q[3], q[6] = 0.6, -0.6

    def incline(x):
        return slope * x, jnp.full_like(x, slope)

    lowest = np.asarray(body.points(pose(q, np.zeros(9)))) @ [-np.sin(angle), np.cos(angle)]
    q[:2] -= (lowest.min() + 1e-3) * np.array([-np.sin(angle), np.cos(angle)])
    poses, force = run(body, q, np.zeros(9), 150, incline)
    along = np.asarray(poses.root_velocity[-1, :2]) @ [np.cos(angle), np.sin(angle)]
    assert np.asarray(force[-1]).sum() > 0
    assert (along < -0.3) == slides
    if slides:  # down, and no faster than g (sin - friction cos) t in the end
        assert along > -G * (np.sin(angle)) * 0.3


def test_hinges_stop_at_their_limits():
    low, high = np.array([link.limits for link in BODY.links]).T
    poses, _ = run(BODY, [0, 50, 0, *[0, -0.5, 0] * 2], np.zeros(9), 300, action=1.0)
    assert np.asarray(poses.joints).max(axis=(0, 2)) == pytest.approx(high, abs=0.5)
    assert (np.asarray(poses.joints)[-1] <= high[:, None] + 0.5).all()
    assert np.isfinite(np.asarray(poses.joint_velocity)).all()


def test_an_impact_does_not_blow_up():
    q = standing(BODY)
    q[1] += 2.0
    poses, force = run(BODY, q, np.zeros(9), 400, flat)
    speed = np.abs(np.asarray(poses.root_velocity)).max()
    assert np.isfinite(speed) and speed < 12  # it fell at 6.3 m/s
    assert np.asarray(poses.root)[:, 1].max() <= q[1] + 1e-3
    assert np.asarray(force).min() >= 0


def test_accelerations_are_mujocos():
    mujoco = pytest.importorskip("mujoco")
    body = dataclasses.replace(BODY, time_step=1e-3)
    legs = ""
    for _ in range(2):
        for k, link in enumerate(body.links):
            x, z = body.hinge if k == 0 else (0, -body.links[k - 1].length)
            legs += (
                f'<body pos="{x} 0 {z}"><joint axis="0 -1 0" damping="{body.damping}" '
                f'armature="{body.armature}"/>{inertial(link.center, link)}'
            )
        legs += "</body>" * 3
    model = mujoco.MjModel.from_xml_string(f"""<mujoco><option timestep="{body.time_step}"/>
      <worldbody><body><joint type="slide" axis="1 0 0"/><joint type="slide" axis="0 0 1"/>
      <joint axis="0 -1 0"/>{inertial((0, 0), body)}{legs}</body></worldbody></mujoco>""")
    for seed in range(5):
        q, v, action = random_state(seed)
        data = mujoco.MjData(model)
        data.qpos[:], data.qvel[:] = q, v
        torque = (action * np.array([[link.torque] for link in body.links])).T.ravel()
        data.qfrc_applied[3:] = torque
        mujoco.mj_step(model, data)
        expected = (data.qvel - v) / body.time_step
        np.testing.assert_allclose(rates(body, q, v, action), expected, rtol=1e-3, atol=0.1)


def inertial(center, part):
    i = part.inertia
    return (
        f'<inertial pos="{center[0]} 0 {center[1]}" mass="{part.mass}" diaginertia="{i} {i} {i}"/>'
    )
