"""When states are evaluated, with which key, and how often."""

import jax
import jax.numpy as jnp
import pytest

from research import training
from research.core import Experiment
from research.training.evaluation import evaluate_at
from tests.training.toy import build, settings


class Evaluated(Experiment):
    def __init__(self, evaluate):
        self.evaluate = evaluate


def test_numbers_are_floats_by_name():
    experiment = Evaluated(lambda state, key: {"a/n": jnp.float32(2.0), "b/n": 3})
    numbers = evaluate_at(experiment, {}, 0, 0)
    assert numbers == {"a/n": 2.0, "b/n": 3.0}
    assert {type(value) for value in numbers.values()} == {float}


def test_keys_differ_between_steps_and_seeds_and_are_theirs_alone():
    experiment = Evaluated(lambda state, key: {"x": jax.random.uniform(key)})
    drawn = [evaluate_at(experiment, {}, *at)["x"] for at in ((0, 0), (0, 5), (1, 0), (1, 5))]
    assert len(set(drawn)) == 4
    assert evaluate_at(experiment, {}, 0, 5) == evaluate_at(experiment, {}, 0, 5)


@pytest.mark.parametrize("every", [0, 2, 3])
def test_the_final_state_is_evaluated_once(every, tmp_path):
    config = settings(eval_every_steps=every)
    experiment = build(config, num_steps=4)
    evaluate, steps = experiment.evaluate, []

    def counted(state, key):
        steps.append(int(state["seen"]))
        return evaluate(state, key)

    experiment.evaluate = counted
    state, numbers = training.run(experiment, config, tmp_path)
    assert steps == {0: [4], 2: [2, 4], 3: [3, 4]}[every]
    assert numbers == evaluate_at(build(config, num_steps=4), state, config.seed, 4)
