"""The few-shot harness on models with known answers."""

import numpy as np
import pytest

from research.metrics.few_shot import Prompts, Query, accuracy, choose, log_likelihoods
from research.papers.gpt import in_context
from research.papers.gpt.key_labels import KeyLabels

ALPHABET = "abcdefgh0123\n ="


def encode(text):
    return np.array([ALPHABET.index(c) for c in text], np.int32)


def prompts(**changes):
    return Prompts(**{"encode": encode, "max_tokens": 40, **changes})


QUERY = Query("a=", ("0", "11"), 0, [("b=", "1"), ("c=", "2"), ("d=", "3")])


def test_a_prompt_is_description_examples_query():
    ids = prompts(description="abc", begin=(7,)).write(QUERY, QUERY.pool[:2])
    assert ids[0] == 7
    assert "".join(ALPHABET[i] for i in ids[1:]) == "abc\nb=1\nc=2\na="


def test_shots_shrink_to_the_context():
    for most, shots in ((40, 3), (13, 2), (8, 1), (7, 0), (4, 0)):
        ids = prompts(max_tokens=most).write(QUERY, QUERY.pool)
        assert len(ids) == 4 * shots + 2 and len(ids) + 2 <= most
    with pytest.raises(ValueError, match="does not fit"):
        prompts(max_tokens=3).write(QUERY, QUERY.pool)


def unigram(tokens):
    """Log probabilities that depend on the token alone."""
    table = np.log(np.linspace(0.01, 0.2, len(ALPHABET)))
    return table[tokens[:, 1:]]


def test_scores_are_sums_over_the_completion():
    pairs = [(encode(c), encode(o)) for c, o in (("ab", "1"), ("a", "123"), ("abcde", "21"))]
    table = np.log(np.linspace(0.01, 0.2, len(ALPHABET)))
    np.testing.assert_allclose(log_likelihoods(unigram, pairs), [table[o].sum() for _, o in pairs])


def test_normalising_decides_between_long_and_short():
    """Option "11" has the likelier tokens, but two of them."""
    queries = [QUERY]
    ids = [encode("a=")]
    assert choose(unigram, prompts(normalise="none"), ids, queries) == [0]
    assert choose(unigram, prompts(normalise="tokens"), ids, queries) == [1]
    free = prompts(normalise="unconditional", unconditional_context="=")

    def depends(tokens):
        # The first option follows any "a=" twice as easily as it follows anything else.
        bonus = (tokens[:, 1:] == encode("0")) & (tokens[:, :1] == encode("a"))
        return unigram(tokens) + np.log(2) * bonus

    assert choose(depends, free, ids, queries) == [0]
    with pytest.raises(ValueError, match="normalise"):
        choose(unigram, prompts(normalise="mean"), ids, queries)


TASK = KeyLabels(8, 4, 24, 0)


def reads_the_document(rows):
    """Log probabilities of someone who remembers the pairs of the document, and guesses else."""
    out = np.full((len(rows), rows.shape[1] - 1), np.log(0.25))
    for r, row in enumerate(rows):
        seen = {}
        for i in range(1, len(row) - 1, 2):
            key, label = row[i], row[i + 1]
            if key in seen:
                out[r, i] = np.log(0.97 if seen[key] == label else 0.01)
            seen.setdefault(key, label)
    return out


def predict(rows):
    nats = -reads_the_document(rows)
    return nats, nats < 0.1


def test_in_context_learning_of_a_perfect_reader():
    by_shot = in_context.accuracy_by_shot(predict, TASK, 100, 3)
    assert by_shot["shot_0"] == 0.0 and by_shot["shot_1"] == by_shot["shot_3"] == 1.0
    by_prompt = in_context.accuracy_of_prompts(predict, TASK, (0, 4, 23), 64, 2)
    assert by_prompt["k_0"] == pytest.approx(0.25, abs=0.15)
    assert by_prompt["k_0"] < by_prompt["k_4"] < by_prompt["k_23"]
    known = 1 - (7 / 8) ** 23
    assert by_prompt["k_23"] == pytest.approx(known + (1 - known) / 4, abs=0.08)


def test_a_reader_of_nothing_stays_at_chance():
    blind = lambda rows: (np.zeros((len(rows), rows.shape[1] - 1)),) * 2  # noqa: E731
    found = in_context.accuracy_of_prompts(blind, TASK, (0, 23), 128, 1)
    assert all(v == pytest.approx(0.25, abs=0.12) for v in found.values())


def test_draws_differ():
    queries = [Query("a", ("1", "0"), 1, [("b", "1"), ("a", "0")])] * 8

    def copies(rows):
        """Gives what followed the last token's last occurrence."""
        follows = np.zeros((len(rows), rows.shape[1] - 1))
        for r, row in enumerate(rows):
            for i in range(1, len(row) - 1):
                follows[r, i] = np.any((row[:i] == row[i]) & (row[1 : i + 1] == row[i + 1])) - 1.0
        return follows

    got = accuracy(copies, prompts(separator=""), queries, 1, 20, 0)
    assert got.shape == (20,) and 0 < np.std(got)
