"""Comparisons between arms: what each rule judges, and that nothing passes on nothing."""

import numpy as np
import pytest

from research.report.claims import MissingResult, Results, Scores, spread

# Seed by seed a exceeds b by 1, 1, 4: by 1 at least, by 2 on average, by 1 in the median; the worst
# seed of a, 2, is below the best of b, 4.
A, B = np.array([2.0, 3.0, 8.0]), np.array([1.0, 2.0, 4.0])
TEXT = {"claim": "a beats b", "paper": "it does"}


@pytest.fixture
def scores():
    return Results({"a": {"x": A}, "b": {"x": B, "y": B}})["x"]


@pytest.mark.parametrize(
    ("rule", "gap"),
    [("every seed", -2.0), ("seed by seed", 1.0), ("mean", 2.0), ("median", 1.0)],
)
def test_rules_differ_in_how_seeds_count(scores, rule, gap):
    assert scores.above("a", "b", by=gap - 1e-9, rule=rule, **TEXT).holds is True
    assert scores.above("a", "b", by=gap + 1e-6, rule=rule, **TEXT).holds is False
    assert f"[{rule}]" in scores.above("a", "b", by=gap, rule=rule, **TEXT).ours


@pytest.mark.parametrize(
    ("rule", "factor"),
    [("every seed", 2 / 4), ("seed by seed", 3 / 2), ("mean", 13 / 7), ("median", 3 / 2)],
)
def test_ratios(scores, rule, factor):
    assert scores.ratio("a", "b", factor - 1e-9, rule=rule, **TEXT).holds is True
    assert scores.ratio("a", "b", factor + 1e-6, rule=rule, **TEXT).holds is False


def test_the_default_is_the_worst_seed_against_a_number(scores):
    assert scores.at_least("a", 2.0, **TEXT).holds is True
    assert scores.at_least("a", 2.1, **TEXT).holds is False
    assert scores.at_most("a", 8.0, **TEXT).holds is True
    assert scores.at_most("a", 7.9, **TEXT).holds is False
    assert scores.at_most("a", 4.4, rule="mean", **TEXT).holds is True


def test_the_row_says_margin_arms_and_spread(scores):
    row = scores.above("a", "b", by=0.5, rule="mean", **TEXT)
    assert row.claim == "a beats b (a - b >= 0.5)" and row.paper == "it does"
    assert row.ours == "a 3.00 (2.00 to 8.00), b 2.00 (1.00 to 4.00); by 2.00 [mean]"


def test_a_run_that_cannot_tell_does_not_judge(scores):
    assert scores.above("a", "b", judged=False, **TEXT).holds is None


@pytest.mark.parametrize(
    "ask",
    [
        lambda results: results["z"],
        lambda results: results["x"]["c"],
        lambda results: results["y"].above("a", "b", **TEXT),
        lambda results: results["x"].at_least("c", 0.0, **TEXT),
        lambda results: Results({"arm": {}})["x"],
        lambda results: Results({})["x"],
        lambda results: Results({"a": {"x": np.array([])}})["x"].at_least("a", 0.0, **TEXT),
    ],
)
def test_what_was_not_measured_raises(ask):
    with pytest.raises(MissingResult):
        ask(Results({"a": {"x": A}, "b": {"x": B, "y": B}}))


def test_a_number_that_is_none_never_holds():
    scores = Results({"a": {"x": np.array([np.nan, 3.0])}, "b": {"x": B[:2]}})["x"]
    for rule in ("every seed", "seed by seed", "mean", "median"):
        assert scores.above("a", "b", by=-9.0, rule=rule, **TEXT).holds is False
    assert scores.at_least("a", -9.0, **TEXT).holds is False


def test_spread_is_the_median_and_the_range():
    assert spread(np.array([3.0, 1.0, 8.0])) == "3.0 (1.0 to 8.0)"
    assert spread(np.array([3.0])) == "3.0"


def test_metric_is_found_whatever_network_it_was_measured_with():
    results = Results(
        {
            "street": {"fid[cnn:street@01]": np.array([1.0]), "fidelity[cnn]": np.array([9.0])},
            "studio": {"fid[cnn:studio@02]": np.array([2.0])},
            "other": {"error": np.array([0.0])},
        }
    )
    assert dict(results.named("fid")) == {"street": [1.0], "studio": [2.0]}
    with pytest.raises(MissingResult, match="'kid' of any network"):
        results.named("kid")
    with pytest.raises(MissingResult, match="other"):
        results.named("fid").at_least("other", 0, claim="", paper="")


def test_metric_of_two_networks_is_refused():
    with pytest.raises(MissingResult, match="may be"):
        Results({"a": {"fid[x@1]": np.ones(1), "fid[y@2]": np.ones(1)}}).named("fid")


def test_metrics_of_one_arm_are_compared_as_arms_are():
    results = Results({"a": {"test/error": np.array([1.0, 2.0]), "guess": np.array([5.0, 4.0])}})
    scores = results.side_by_side("a", guessing="guess", ours="test/error")
    assert scores.ratio("guessing", "ours", 2, claim="", paper="").holds
    assert not scores.ratio("guessing", "ours", 2.1, claim="", paper="").holds
    with pytest.raises(MissingResult):
        results.side_by_side("a", ours="missing")


@pytest.mark.parametrize(
    ("rule", "low", "high", "holds"),
    [
        ("every seed", 1, 3, True),
        ("every seed", 1.1, 3, False),
        ("every seed", 1, 2.9, False),
        ("mean", 1.9, 2.1, True),
    ],
)
def test_range_has_both_ends(rule, low, high, holds):
    scores = Scores("x", {"a": np.array([1.0, 2.0, 3.0])})
    row = scores.within("a", low, high, claim="c", paper="", rule=rule)
    assert row.holds is holds and row.claim == f"c ({low:g} to {high:g})"
