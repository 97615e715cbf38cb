"""What is the script's own: its arms, its unseen tasks, its claims."""

import jax
import numpy as np
import pytest

from configs.one_shot_imitation import get_config
from experiments import one_shot_imitation
from research import app
from research.config import with_overrides
from research.core import UserError
from research.report.claims import MissingResult, Results

SMALL = {
    "lstm_attention": {"model.variant": "lstm_attention"},
    "stacking": {"env.name": "stacking", "dagger.episodes": 8},
}


def configured(arm, **overrides):
    config = get_config("smoke")
    overrides = {key.replace("__", "."): value for key, value in overrides.items()}
    return with_overrides(config, {**SMALL[arm], **overrides})


@pytest.mark.slow
def test_all_arms_of_a_seed_are_taught_the_same():
    configs = {
        arm: configured("lstm_attention", model__variant=arm) for arm in ("lstm", "lstm_attention")
    }
    states = {
        arm: jax.jit(app.build(one_shot_imitation, config).init)(jax.random.key(0))
        for arm, config in configs.items()
    }
    jax.tree.map(
        np.testing.assert_array_equal,
        states["lstm"].demonstrations,
        states["lstm_attention"].demonstrations,
    )


def test_unseen_towers_are_of_other_heights():
    for variant in ("", "smoke", "stacking", "paper"):
        env = get_config(variant).env
        assert not set(map(tuple, env.shapes)) & set(map(tuple, env.unseen_shapes))
        assert not set(env.numbers) & set(env.unseen_numbers)


def test_evaluations_of_the_blocks_are_of_unseen_tasks():
    """They are what the configuration names, whoever acts."""
    tasks = one_shot_imitation.unseen_tasks(configured("stacking").env)
    assert list(tasks) == ["unseen"] and tasks["unseen"].shapes == ((2, 2),)


@pytest.mark.parametrize(
    "overrides",
    [
        {"env__name": "bogus"},
        {"model__variant": "bogus"},
        {"demonstrations__seen": "bogus"},
        {"demonstrations__per_task": 1},
        {"dagger__episodes": 1},
    ],
    ids=str,
)
def test_wrong_values_are_one_clear_line(overrides):
    with pytest.raises(UserError):
        app.build(one_shot_imitation, configured("lstm_attention", **overrides))


def rates(trained, *unseen):
    names = ("unseen", "more") if len(unseen) == 2 else ("unseen",)
    return {
        "trained/success": np.array(trained),
        "trained/expert": np.ones(len(trained)),
        **{f"{n}/success": np.array(x) for n, x in zip(names, unseen, strict=True)},
    }


def holds(**arms):
    return [claim.holds for claim in one_shot_imitation.claims(Results(arms))]


def test_claims_are_missed_by_what_is_broken():
    good, rival = rates([0.98], [0.99], [0.95]), rates([0.98], [0.7], [0.4])
    assert holds(attention=good, lstm_attention=rival) == [True, True, True, True, True]
    # Attention that only does what it was trained on; a rival that generalises as well, or is not
    # trained.
    assert holds(attention=rival, lstm_attention=rival) == [True, True, False, False, True]
    assert holds(attention=good, lstm_attention=good) == [True, True, True, False, True]
    untrained = rates([0.2], [0.2], [0.1])
    assert holds(attention=good, lstm_attention=untrained)[-2:] == [None, False]
    assert holds(attention=good, final_state=untrained)[-1] is None
    assert holds(attention=good, final_state=rival)[-1] is True
    assert holds(stacking=rates([0.95], [0.8]), stacking_no_demonstration=rates([0.9], [0.7])) == [
        True,
        True,
        False,
    ]
    assert holds(stacking=rates([0.95], [0.6])) == [True, False]
    assert holds(stacking=rates([0.85], [0.8])) == [False, True]
    # Not judged: what cannot be missed where nobody was trained.
    assert holds(attention=good, lstm=rival)[-1] is None


def test_no_claim_holds_on_nothing():
    for numbers in ({}, {"trained/success": np.array([1.0])}):
        with pytest.raises(MissingResult):
            holds(stacking=numbers)
    with pytest.raises(MissingResult, match="more/success"):
        holds(attention=rates([0.98], [0.99]))
