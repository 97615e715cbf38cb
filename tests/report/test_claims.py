"""Comparisons of metrics: that of a network, several of one arm, and a range."""

import numpy as np
import pytest

from research.report.claims import MissingResult, Results, Scores


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
