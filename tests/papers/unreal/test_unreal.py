"""What is UNREAL's own: which loss reaches what, what is replayed, its dueling head; probes, one of
which takes a memory."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from configs.unreal import get_config
from experiments import unreal
from research.core import Learner, UserError
from research.core.tree import count_parameters
from research.papers.unreal.losses import Batch
from research.papers.unreal.network import ControlHead, Unreal
from research.rl.acting import recurrent_rollouts
from research.rl.acting.actor import Actors
from research.rl.acting.distributions import Categorical
from research.rl.acting.recurrent_rollouts import RecurrentObservation, RecurrentTrajectory
from research.rl.envs import probe_envs
from research.rl.envs.environments import StackFrames, Vectorized
from tests.rl import probe_runs

GAMMA = 0.5
OFF = {
    "auxiliary__control_weight": 0.0,
    "auxiliary__reward_weight": 0.0,
    "auxiliary__value_weight": 0.0,
}


def configured(variant="smoke", **overrides):
    config = get_config(variant)
    config.update_from_flattened_dict(
        {key.replace("__", "."): value for key, value in overrides.items()}
    )
    return config


T, N = 5, 3


def made(control="pixels", ready=True):
    """A learner of one such agent, its variables, and a batch of noise."""
    config = configured(auxiliary__control=control)
    learner = Learner(Unreal(3, "probe", control), optax.identity())
    keys = iter(jax.random.split(jax.random.key(0), 99))

    def steps(length):
        shape = length, N
        terminated, truncated = jax.random.bernoulli(next(keys), 0.15, (2, *shape))
        seen = RecurrentObservation(
            jax.random.randint(next(keys), (*shape, 3, 3, 1), 0, 256).astype(jnp.uint8),
            jax.random.randint(next(keys), shape, -1, 3),
            jax.random.normal(next(keys), shape),
            jax.random.bernoulli(next(keys), 0.15, shape),
            tuple(jax.random.normal(next(keys), (2, *shape, 16))),
        )
        return RecurrentTrajectory(
            seen,
            jax.random.randint(next(keys), shape, 0, 3),
            jax.random.normal(next(keys), shape),
            terminated,
            truncated & ~terminated,
            jax.random.uniform(next(keys), (*shape, 2, 2, 1)),
        )

    now = steps(T + 1)
    frames = now.inputs.observation[:3].swapaxes(0, 1)
    histories = frames, jnp.array([1.0, 0.0, -1.0]), jnp.ones(N)
    batch = Batch(jax.tree.map(lambda x: x[:T], now), now.inputs, steps(T + 1), ready, histories)
    state = learner.init(next(keys), jax.tree.map(lambda x: x[0], now.inputs), 3)
    return config, learner, {"params": state.params}, batch


REACHES = {
    "policy_loss": {"encoder", "lstm", "policy"},
    "value_loss": {"encoder", "lstm", "value"},
    "value_replay_loss": {"encoder", "lstm", "value"},
    "control_loss": {"encoder", "lstm", "head"},
    "reward_loss": {"encoder", "reward_hidden", "reward_class"},  # and not the LSTM
    "entropy": {"encoder", "lstm", "policy"},
}


@pytest.mark.parametrize("control", ["pixels", "features"])
def test_each_loss_reaches_what_it_is_to_shape_and_nothing_else(control):
    config, learner, variables, batch = made(control)
    names = REACHES if control == "pixels" else ["control_loss"]

    def found(variables):
        losses = unreal.losses(learner, config, variables, batch)
        assert set(losses) == set(REACHES)
        return {name: losses[name] for name in names}

    for name, gradient in jax.jit(jax.jacrev(found))(variables).items():
        touched = {
            part
            for part, leaves in gradient["params"].items()
            if any((leaf != 0).any() for leaf in jax.tree.leaves(leaves))
        }
        assert touched == REACHES[name], name


def test_each_task_has_its_weight_and_none_without_enough_to_replay():
    config, learner, variables, batch = made(ready=False)
    loss, aux = unreal.loss_of(learner, config, variables, batch)
    found, weights = aux.metrics, config.auxiliary
    assert found["control_loss"] == found["value_replay_loss"] == 0
    assert float(loss) == pytest.approx(
        float(
            found["policy_loss"]
            + config.agent.value_weight * found["value_loss"]
            - config.agent.entropy_weight * found["entropy"]
            + weights.reward_weight * found["reward_loss"]
        ),
        rel=1e-5,
    )
    for key, name in (("control_weight", "control_loss"), ("value_weight", "value_replay_loss")):
        config.auxiliary[key] = 0.0
        assert name not in unreal.losses(learner, config, variables, batch)


def test_truncated_steps_are_left_out_of_policy_and_value():
    config, learner, variables, batch = made()
    cut = jnp.zeros((T, N), bool).at[2].set(True)
    steps = batch.steps._replace(truncated=cut, terminated=jnp.zeros((T, N), bool))
    other = steps._replace(reward=steps.reward.at[2].add(9.0), action=steps.action.at[2].set(0))
    one, two = (
        unreal.losses(learner, config, variables, batch._replace(steps=x, replayed=None))
        for x in (steps, other)
    )
    for name in ("policy_loss", "value_loss"):
        assert float(one[name]) == float(two[name])


def test_acting_and_learning_are_the_same_network_and_its_memory_is_stored():
    """Step by step with the memory carried on, and the whole rollout in one pass."""
    model = Unreal(2, "probe", "", False)
    env = recurrent_rollouts.RecurrentEnvironment(
        StackFrames(probe_envs.make("probe_truncation", N), 1), 16
    )
    actors = Actors.start(env, jax.random.key(0))
    variables = model.init(jax.random.key(1), actors.observation, 3)

    def act(seen, key):
        one = (x[None] for x in seen[:4])
        outputs, carry = model.apply(variables, seen.carry, *one, method="unroll")
        return Categorical(outputs.policy["logits"][0]).sample(key), carry

    _, steps, _ = jax.jit(
        lambda a: recurrent_rollouts.collect_recurrent(
            env, a, act, lambda *_: None, jax.random.key(2), 9
        )
    )(actors)
    seen = steps.inputs
    start = jax.tree.map(lambda x: x[0], seen.carry)
    _, carry = model.apply(variables, start, *(x[:8] for x in seen[:4]), method="unroll")
    np.testing.assert_allclose(carry[0], seen.carry[0][8], rtol=1e-3, atol=1e-5)
    whole, _ = model.apply(variables, start, *seen[:4], method="unroll")
    for field in ("last_action", "last_reward"):  # both are fed
        other = seen._replace(**{field: getattr(seen, field) + 1})
        changed, _ = model.apply(variables, start, *other[:4], method="unroll")
        assert abs(changed.value - whole.value).max() > 1e-4, field


def test_dueling_head():
    """The mean over actions is the value stream's alone; what all advantages share is nothing."""
    head = ControlHead(num_actions=5, channels=4, kernel=4, stride=2)
    hidden = jax.random.normal(jax.random.key(0), (3, 6))
    variables = head.init(jax.random.key(1), hidden, 8, 1)
    q = head.apply(variables, hidden, 8, 1)
    assert q.shape == (3, 8, 8, 1, 5) and q.std(axis=-1).mean() > 0
    params = variables["params"]

    def with_advantage(**leaves):
        return head.apply(
            {"params": {**params, "advantage": {**params["advantage"], **leaves}}}, hidden, 8, 1
        )

    flat = with_advantage(kernel=jnp.zeros_like(params["advantage"]["kernel"]))
    np.testing.assert_allclose(
        flat, jnp.broadcast_to(q.mean(-1, keepdims=True), q.shape), atol=1e-5
    )
    np.testing.assert_allclose(with_advantage(bias=jnp.full(5, 7.0)), q, atol=1e-5)
    moved = with_advantage(bias=jnp.arange(5.0))
    np.testing.assert_allclose(moved - q, jnp.broadcast_to(jnp.arange(5.0) - 2, q.shape), atol=1e-5)


# Of `probe_recall` both last states look the same, and what was seen before tells what to do.
NAMES = [*probe_runs.SEEN, "probe_recall"]


@pytest.mark.slow
@pytest.mark.parametrize("overrides", [OFF, {}], ids=["base", "full"])
def test_solves_every_probe_one_of_them_by_its_memory(overrides):
    config = configured(
        model__variant="probe",
        env__num_envs=8,
        agent__gamma=GAMMA,
        agent__anneal=False,
        agent__rollout_steps=8,
        replay__steps_per_actor=32,
        optimizer__learning_rate=3e-3,
        agent__entropy_weight=0.01,
        total_frames=8 * 8 * 700,
        **overrides,
    )
    for (name, _), (state, probe) in probe_runs.train(unreal, config, NAMES).items():
        steps, value, policy = rollout(config, state, probe)
        truth = probe.values(GAMMA)
        of_level = {level: q for level, q in zip(probe.levels, truth, strict=True)}
        levels = np.asarray(steps.inputs.observation[..., 0, 0, 0])
        best = np.array([[of_level[level].max() for level in row] for row in levels])
        error = np.abs(value - best).max()
        assert error < (0.4 if probe.noisy else 0.2), (name, error)
        mean = steps.reward.mean() if not probe.noisy else 1.0
        if name == "probe_recall":
            assert mean > 0.45  # 1 in every other step, and 0 without a memory
        if name in ("probe_action", "probe_both"):
            assert mean > 0.85
        assert policy.entropy().min() >= 0


def rollout(config, state, probe):
    """40 steps, values and policies of a trained agent."""
    model = Unreal(probe.num_actions, config.model.variant, "", False)
    env = recurrent_rollouts.RecurrentEnvironment(StackFrames(Vectorized(probe, 16), 1), 16)

    def network(carry, *seen):
        return model.apply({"params": state.learner.params}, carry, *seen, method="unroll")

    def act(seen, key):
        outputs, carry = network(seen.carry, *(x[None] for x in seen[:4]))
        return Categorical(outputs.policy["logits"][0]).sample(key), carry

    actors = Actors.start(env, jax.random.key(5))
    _, steps, _ = jax.jit(
        lambda a: recurrent_rollouts.collect_recurrent(
            env, a, act, lambda *_: None, jax.random.key(6), 40
        )
    )(actors)
    outputs, _ = network(jax.tree.map(lambda x: x[0], steps.inputs.carry), *steps.inputs[:4])
    return steps, np.asarray(outputs.value), Categorical(outputs.policy["logits"])


def test_parameters_at_paper_size():
    """84x84 grey pixels, 6 actions: trunk, LSTM, policy, value, control, reward prediction."""
    a = 6
    count = (1_040 + 8_224 + 663_808) + (256 + a + 1 + 256 + 1) * 1_024 + 257 * a + 257
    count += 257 * 81 * 32 + (16 * 32 + 1) * (a + 1) + 769 * 128 + 129 * 3
    shapes = jax.eval_shape(unreal.build(configured("pong")).init, jax.random.key(0))
    assert sum(count_parameters(shapes).values()) == count
    assert shapes.replay.items.change.shape[2:] == (20, 20, 1)
    assert shapes.replay.items.inputs.observation.dtype == jnp.uint8
    base = configured("pong", **OFF)
    assert (
        unreal.build(base).init
        and jax.eval_shape(unreal.build(base).init, jax.random.key(0)).replay is None
    )


def test_claims_count_frames_to_the_score_of_the_base():
    rise = np.linspace(0, 1, unreal.BINS)
    curves = {"base": rise, "full": np.minimum(1, 3 * rise), "value_replay": 0 * rise}
    results = {
        arm: {f"return/{i:02d}": np.full(5, curve[i]) for i in range(unreal.BINS)}
        for arm, curve in curves.items()
    }
    assert [claim.holds for claim in unreal.claims(results)][:2] == [True, True]
    results["full"] = results["base"]
    assert [claim.holds for claim in unreal.claims(results)][:2] == [False, False]


@pytest.mark.parametrize(
    "overrides",
    [
        {"env.name": "pongg"},
        {"env.name": "CartPole-v1"},
        {"env.stack": 2},
        {"auxiliary.control": "sound"},
        {"replay.steps_per_actor": 7},
    ],
    ids=str,
)
def test_wrong_values_are_one_clear_line(overrides):
    config = configured(**{k.replace(".", "__"): v for k, v in overrides.items()})
    with pytest.raises(UserError):
        jax.eval_shape(unreal.build(config).init, jax.random.key(0))
