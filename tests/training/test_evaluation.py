import dataclasses

import jax
import jax.numpy as jnp

from research import training
from research.core import Experiment
from research.training.evaluation import evaluate_at
from tests.training.toy import build, settings


def experiment(evals):
XX


def test_numbers_are_named_after_their_evaluation():
    e = experiment({"a": lambda s, k: {"n": jnp.float32(2.0)}, "b": lambda s, k: {"n": 3}})
    numbers = evaluate_at(e, {}, 0, 0)
    assert numbers == {"a/n": 2.0, "b/n": 3.0}
    assert {type(value) for value in numbers.values()} == {float}


def test_keys_differ_between_evaluations_steps_and_seeds():
    def draw(state, key):
        return {"x": jax.random.uniform(key)}

    e = experiment({"a": draw, "b": draw})
    drawn = [v for at in ((0, 0), (0, 5), (1, 0)) for v in evaluate_at(e, {}, *at).values()]
    assert len(set(drawn)) == 6
    assert evaluate_at(e, {}, 0, 5) == evaluate_at(e, {}, 0, 5)


def test_the_final_state_is_evaluated_once(tmp_path):
    calls = []
    config = settings()
    plain = build(config)

    def counted(state, key):
        calls.append(1)
        return plain.evals["test"](state, key)

    e = dataclasses.replace(plain, evals={"test": counted}, last_evaluation=[])
    state = training.run(e, config, tmp_path)
    first = training.evaluate(e, state, config)
    assert len(calls) == 1
    other = jax.tree.map(jnp.copy, state)
    assert training.evaluate(e, other, config) == first
    assert len(calls) == 2
