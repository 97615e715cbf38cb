"""What is UNREAL's own: which loss reaches what, what is replayed, its dueling head; probes, one of
which takes a memory."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs.unreal import get_config
from experiments import unreal
from research import training
from research.models.unreal import ControlHead, Unreal
from research.rl import recurrent
from research.rl.distributions import Categorical
from research.rl.environments import StackFrames, Vectorized
from research.training import sharding
from tests.rl import probe_runs

GAMMA = 0.5
OFF = {"auxiliary__control_weight": 0.0, "auxiliary__reward_weight": 0.0,
       "auxiliary__value_weight": 0.0}


def configured(variant="smoke", **overrides):
    config = get_config(variant)
    config.update_from_flattened_dict(
        {key.replace("__", "."): value for key, value in overrides.items()}
    )
    return config


def batches(control="pixels", count=4):
    """A learner of one such agent, its state, and what it learned from in its last step."""
    config, caught = configured(auxiliary__control=control, agent__anneal=False), []
    plain = unreal.losses

    def catching(learner, config, variables, batch):
        caught.append((learner, batch))
        return plain(learner, config, variables, batch)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(unreal, "losses", catching)
        experiment = unreal.build(config)
        state = jax.jit(experiment.init)(jax.random.key(0))
        step = jax.jit(lambda state, key: (experiment.step(state, None, key), caught[-1][1])[::-1])
        for t in range(count):
            batch, (state, _) = step(state, jax.random.key(t))
    return config, caught[-1][0], state.learner, batch


def test_each_loss_reaches_what_it_is_to_shape_and_nothing_else():
    reaches = {
        "policy_loss": {"encoder", "lstm", "policy"},
        "value_loss": {"encoder", "lstm", "value"},
        "value_replay_loss": {"encoder", "lstm", "value"},
        "control_loss": {"encoder", "lstm", "head"},
        "reward_loss": {"encoder", "reward_hidden", "reward_class"},  # and not the LSTM
        "entropy": {"encoder", "lstm", "policy"},
    }
    for control in ("pixels", "features"):
        config, learner, state, batch = batches(control)
        assert batch.ready

        def found(params, learner=learner, config=config, batch=batch):
            return unreal.losses(learner, config, {"params": params}, batch)

        gradients = jax.jit(jax.jacrev(found))(state.params)
        assert set(gradients) == set(reaches)
        for name, gradient in gradients.items():
            touched = {part for part, leaves in gradient.items()
                       if any((leaf != 0).any() for leaf in jax.tree.leaves(leaves))}
            assert touched == reaches[name], (control, name)


def test_without_enough_to_replay_its_losses_are_zero():
    config, learner, state, batch = batches(count=1)
    assert not batch.ready
    found = unreal.losses(learner, config, {"params": state.params}, batch)
    assert found["control_loss"] == found["value_replay_loss"] == 0 and found["value_loss"] > 0


def test_acting_and_learning_are_the_same_network():
    """Step by step with the memory that was carried on, and the whole rollout in one pass."""
    _, learner, state, batch = batches(count=1)
    seen, model = batch.seen, learner.model
    variables = {"params": learner.init(jax.random.key(1), jax.tree.map(
        lambda x: x[0], seen), 3).params}
    outputs, _ = model.apply(variables, jax.tree.map(lambda x: x[0], seen.carry), *seen[:4],
                             method="unroll")
    carry = jax.tree.map(lambda x: x[0], seen.carry)
    for t in range(len(seen.first)):
        one, carry = model.apply(variables, carry, *(x[t:t + 1] for x in seen[:4]),
                                 method="unroll")
        np.testing.assert_allclose(one.value[0], outputs.value[t], rtol=1e-3, atol=1e-5)
    for field in ("last_action", "last_reward"):
        other = seen._replace(**{field: getattr(seen, field) + 1})
        changed, _ = model.apply(variables, other.carry and jax.tree.map(
            lambda x: x[0], seen.carry), *other[:4], method="unroll")
        assert abs(changed.value - outputs.value).max() > 1e-4, field


def test_dueling_head():
    """The mean over actions is the value stream's alone; what all advantages share is nothing."""
    head = ControlHead(num_actions=5, channels=4, kernel=4, stride=2)
    hidden = jax.random.normal(jax.random.key(0), (3, 6))
    variables = head.init(jax.random.key(1), hidden, 8, 1)
    q = head.apply(variables, hidden, 8, 1)
    assert q.shape == (3, 8, 8, 1, 5) and q.std(axis=-1).min() > 0
    params = variables["params"]

    def with_advantage(**leaves):
        return head.apply({"params": {**params, "advantage": {**params["advantage"], **leaves}}},
                          hidden, 8, 1)

    flat = with_advantage(kernel=jnp.zeros_like(params["advantage"]["kernel"]))
    np.testing.assert_allclose(flat, jnp.broadcast_to(q.mean(-1, keepdims=True), q.shape),
                               atol=1e-5)
    np.testing.assert_allclose(with_advantage(bias=jnp.full(5, 7.0)), q, atol=1e-5)
    moved = with_advantage(bias=jnp.arange(5.0))
    np.testing.assert_allclose(moved - q, jnp.broadcast_to(jnp.arange(5.0) - 2, q.shape), atol=1e-5)


# Of `probe_recall` both last states look the same, and what was seen before tells what to do.
NAMES = [*probe_runs.SEEN, "probe_recall"]


@pytest.mark.slow
@pytest.mark.parametrize("overrides", [OFF, {}], ids=["base", "full"])
def test_solves_every_probe_one_of_them_by_its_memory(overrides):
    config = configured(
        model__variant="probe", env__num_envs=8, agent__gamma=GAMMA, agent__anneal=False,
        agent__rollout_steps=8, replay__steps_per_actor=32, optimizer__learning_rate=3e-3,
        agent__entropy_weight=0.01, total_frames=8 * 8 * 700, **overrides,
    )
    for (name, _), (state, probe) in probe_runs.train(unreal, config, NAMES).items():
        steps, value, policy = rollout(config, state, probe)
        truth = probe.values(GAMMA)
        of_level = {level: q for level, q in zip(probe.levels, truth, strict=True)}
        levels = np.asarray(steps.seen.observation[..., 0, 0, 0])
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
    env = recurrent.Recurrent(StackFrames(Vectorized(probe, 16), 1), 16)

    def network(carry, *seen):
        return model.apply({"params": state.learner.params}, carry, *seen, method="unroll")

    def act(seen, key):
        outputs, carry = network(seen.carry, *(x[None] for x in seen[:4]))
        return Categorical(outputs.policy["logits"][0]).sample(key), carry

    actors = recurrent.begin(env, jax.random.key(5))
    _, steps, _ = jax.jit(lambda a: recurrent.play(
        env, a, act, lambda *_: None, jax.random.key(6), 40))(actors)
    outputs, _ = network(jax.tree.map(lambda x: x[0], steps.seen.carry), *steps.seen[:4])
    return steps, np.asarray(outputs.value), Categorical(outputs.policy["logits"])


def test_parameters_at_paper_size():
    """84x84 grey pixels, 6 actions: trunk, LSTM, policy, value, control, reward prediction."""
    a = 6
    count = (1_040 + 8_224 + 663_808) + (256 + a + 1 + 256 + 1) * 1_024 + 257 * a + 257
    count += 257 * 81 * 32 + (16 * 32 + 1) * (a + 1) + 769 * 128 + 129 * 3
    shapes = jax.eval_shape(unreal.build(configured("pong")).init, jax.random.key(0))
    assert sum(sharding.count_parameters(shapes).values()) == count
    assert shapes.replay.items.change.shape[2:] == (20, 20, 1)
    assert shapes.replay.items.seen.observation.dtype == jnp.uint8
    base = configured("pong", **OFF)
    assert unreal.build(base).init and jax.eval_shape(
        unreal.build(base).init, jax.random.key(0)).replay is None


def test_claims_count_frames_to_the_score_of_the_base():
    rise = np.linspace(0, 1, unreal.BINS)
    curves = {"base": rise, "full": np.minimum(1, 3 * rise), "value_replay": 0 * rise}
    results = {arm: {f"return/{i:02d}": np.full(5, curve[i]) for i in range(unreal.BINS)}
               for arm, curve in curves.items()}
    assert [claim.holds for claim in unreal.claims(results)][:2] == [True, True]
    results["full"] = results["base"]
    assert [claim.holds for claim in unreal.claims(results)][:2] == [False, False]


@pytest.mark.parametrize("overrides", [
    {"env.name": "pongg"}, {"env.name": "CartPole-v1"}, {"env.stack": 2},
    {"auxiliary.control": "sound"}, {"replay.steps_per_actor": 7},
], ids=str)
def test_wrong_values_are_one_clear_line(overrides):
    config = configured(**{k.replace(".", "__"): v for k, v in overrides.items()})
    with pytest.raises(training.UserError):
        jax.eval_shape(unreal.build(config).init, jax.random.key(0))
