"""Comparisons between arms: what each rule judges, and that nothing passes on nothing."""

import itertools

import numpy as np
import pytest

from research.report.claims import MissingResult, Results, Scores, bootstrap_interval, spread

# Seed by seed a exceeds b by 1, 1, 4: by 1 at least, by 2 on average, by 1 in the median; the worst
# seed of a, 2, is below the best of b, 4.
A, B = np.array([2.0, 3.0, 8.0]), np.array([1.0, 2.0, 4.0])
TEXT = {"claim": "a beats b", "paper": "it does"}


@pytest.fixture
def scores():
    return Results({"a": {"x": A}, "b": {"x": B, "y": B}})["x"]


PAIRS = {"rule": "seed by seed", "pairs": "one network"}


@pytest.mark.parametrize(("how", "gap"), [({}, -2.0), (PAIRS, 1.0)], ids=str)
def test_rules_differ_in_how_seeds_count(scores, how, gap):
    assert scores.above("a", "b", by=gap - 1e-9, **how, **TEXT).holds is True
    assert scores.above("a", "b", by=gap + 1e-6, **how, **TEXT).holds is False


@pytest.mark.parametrize(("how", "factor"), [({}, 2 / 4), (PAIRS, 3 / 2)], ids=str)
def test_ratios(scores, how, factor):
    assert scores.ratio("a", "b", factor - 1e-9, **how, **TEXT).holds is True
    assert scores.ratio("a", "b", factor + 1e-6, **how, **TEXT).holds is False


def test_pairs_are_said_in_the_row(scores):
    assert scores.above("a", "b", **PAIRS, **TEXT).ours.endswith("[seed by seed: one network]")
    for wrong in ({"rule": "seed by seed"}, {"pairs": "one network"}):
        with pytest.raises(ValueError, match="pairs"):
            scores.above("a", "b", **wrong, **TEXT)


FIVE = np.array([1.0, 2.0, 4.0, 7.0, 11.0]), np.array([0.0, 1.0, 1.0, 3.0, 9.0])


def resampled_means(values, resamples, rng):
    return values[rng.integers(0, len(values), (resamples, len(values)))].mean(axis=1)


@pytest.mark.parametrize("compare", [np.subtract, lambda a, b: a - 2 * b], ids=["above", "twice"])
def test_interval_is_the_percentiles_of_resampled_means(compare):
    """Against NumPy: the same draws, one side after the other."""
    rng = np.random.default_rng(0)
    a, b = (resampled_means(values, 9_999, rng) for values in FIVE)
    expected = np.percentile(compare(a, b), [2.5, 97.5])
    np.testing.assert_allclose(bootstrap_interval(compare, *FIVE), expected, rtol=1e-12)


def test_interval_of_a_mean_is_that_of_all_resamples():
    """All 5^5 ways to draw five of five, against 9,999 draws."""
    values = FIVE[0]
    means = [np.mean(drawn) for drawn in itertools.product(values, repeat=5)]
    low, high = np.percentile(means, [2.5, 97.5])
    np.testing.assert_allclose(bootstrap_interval(np.positive, values), (low, high), atol=0.21)


def test_interval_clears_the_margin_or_does_not():
    scores = Scores("x", dict(zip("ab", FIVE, strict=True)))
    low, high = bootstrap_interval(np.subtract, *FIVE)
    how = {"rule": "interval", **TEXT}
    assert scores.above("a", "b", by=low - 1e-9, **how).holds is True
    assert scores.above("a", "b", by=low + 1e-9, **how).holds is False
    assert scores.above("a", "b", **how).ours.endswith(f"; by {low:.2f} to {high:.2f} [interval]")
    assert scores.close("a", "b", within=max(-low, high) + 1e-9, **how).holds is True
    assert scores.close("a", "b", within=max(-low, high) - 1e-9, **how).holds is False
    low, high = bootstrap_interval(np.positive, FIVE[0])
    assert scores.at_least("a", low - 1e-9, **how).holds is True
    assert scores.at_least("a", low + 1e-9, **how).holds is False
    assert scores.at_most("a", high + 1e-9, **how).holds is True
    assert scores.at_most("a", high - 1e-9, **how).holds is False


def test_interval_of_seeds_that_agree_is_their_number():
    same = Scores("x", {"a": np.full(5, 3.0), "b": np.full(5, 1.0)})
    how = {"rule": "interval", **TEXT}
    assert same.above("a", "b", by=2.0, **how).holds is True
    assert same.above("a", "b", by=2.01, **how).holds is False
    assert same.ratio("a", "b", 3.0, **how).holds is True


def test_interval_of_few_seeds_judges_nothing(scores):
    row = scores.above("a", "b", by=-100.0, rule="interval", **TEXT)
    assert row.holds is None and "not of fewer than 5 seeds" in row.ours


def test_close_is_two_sided(scores):
    assert scores.close("a", "b", within=7.0, **TEXT).holds is True  # 8 - 1, and 2 - 4
    assert scores.close("a", "b", within=6.9, **TEXT).holds is False
    assert scores.close("b", "a", within=6.9, **TEXT).holds is False
    assert scores.close("a", "b", within=4.0, **PAIRS, **TEXT).holds is True
    row = scores.close("a", "b", within=7.0, **TEXT)
    assert row.claim == "a beats b (|a - b| <= 7)" and "-2.00 to 7.00 apart" in row.ours


def test_the_default_is_the_worst_seed_against_a_number(scores):
    assert scores.at_least("a", 2.0, **TEXT).holds is True
    assert scores.at_least("a", 2.1, **TEXT).holds is False
    assert scores.at_most("a", 8.0, **TEXT).holds is True
    assert scores.at_most("a", 7.9, **TEXT).holds is False


def test_the_row_says_margin_arms_and_spread(scores):
    row = scores.above("a", "b", by=0.5, **TEXT)
    assert row.claim == "a beats b (a - b >= 0.5)" and row.paper == "it does"
    assert row.ours == "a 3.00 (2.00 to 8.00), b 2.00 (1.00 to 4.00); by -2.00 [every seed]"


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
    numbers = np.array([np.nan, 3.0, 3.0, 3.0, 3.0])
    scores = Results({"a": {"x": numbers}, "b": {"x": FIVE[1]}})["x"]
    for how in ({}, PAIRS, {"rule": "interval"}):
        assert scores.above("a", "b", by=-9.0, **how, **TEXT).holds is False
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


@pytest.mark.parametrize(("low", "high", "holds"), [(1, 3, True), (1.1, 3, False), (1, 2.9, False)])
def test_range_has_both_ends(low, high, holds):
    scores = Scores("x", {"a": np.array([1.0, 2.0, 3.0])})
    row = scores.within("a", low, high, claim="c", paper="")
    assert row.holds is holds and row.claim == f"c ({low:g} to {high:g})"
