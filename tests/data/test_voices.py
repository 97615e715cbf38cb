"""Synthetic voices: what their ground truth says is in the sound."""

import numpy as np
import pytest

from research.data.procedural import voices

PHONES = list(voices.PHONES)


def spoken(speaker, word, take=0):
    said = voices.score(speaker, word, (0, take))
    return said, voices.say(speaker, said, (0, take, speaker, word))


def test_a_seed_says_the_same_and_another_one_not():
    first, again, other = (voices.takes(s, 1) for s in ("train", "train", "test"))
    assert len(first) == len(voices.SPEAKERS) * len(voices.WORDS)
    for a, b, c in zip(first, again, other, strict=True):
        np.testing.assert_array_equal(a["audio"], b["audio"])
        assert (a["speaker"], a["word"]) == (c["speaker"], c["word"])
        assert len(a["audio"]) != len(c["audio"]) or (a["audio"] != c["audio"]).any()


def test_records_go_together():
    for record in voices.takes("validation", 1):
        frames = len(record["phones"])
        assert len(record["audio"]) == frames * voices.HOP
        assert len(record["pitch"]) == len(record["heard"]) == frames
        word = [PHONES[p] for p in record["phones"]]
        runs = [p for p, before in zip(word, ["", *word[:-1]], strict=True) if p != before]
        assert "".join(runs) == "-" + voices.WORDS[record["word"]] + "-"
        assert record["audio"].dtype == np.float32 and 0.3 < np.abs(record["audio"]).max() <= 1
        voiced = np.array([voices.PHONES[p].voice > 0 for p in word])
        np.testing.assert_array_equal(record["pitch"] > 0, voiced)


@pytest.mark.parametrize("speaker", range(len(voices.SPEAKERS)))
def test_the_pitch_is_in_the_sound(speaker):
    """By autocorrelation in the middle of the vowel of «one»."""
    said, sound = spoken(speaker, 1)
    frames = np.flatnonzero(said.phones == PHONES.index("a"))
    middle = int(frames[len(frames) // 2])
    part = sound[(middle - 2) * voices.HOP : (middle + 3) * voices.HOP]
    part = part - part.mean()
    lags = np.arange(25, 120)
    alike = [np.dot(part[:-lag], part[lag:]) / (len(part) - lag) for lag in lags]
    found = voices.RATE / lags[int(np.argmax(alike))]
    ratio = found / said.pitch[middle]
    assert min(abs(ratio - 1), abs(ratio - 0.5)) < 0.06  # two periods fit as well as one


def test_a_hiss_is_high_and_a_vowel_low():
    said, sound = spoken(1, 6)  # six
    hertz = np.fft.rfftfreq(voices.HOP, 1 / voices.RATE)

    def middle_of(phone):
        frames = np.flatnonzero(said.phones == PHONES.index(phone))[2:-2]
        parts = [sound[f * voices.HOP : (f + 1) * voices.HOP] for f in frames]
        power = np.mean([np.abs(np.fft.rfft(p)) ** 2 for p in parts], axis=0)
        return (power * hertz).sum() / power.sum()

    assert middle_of("s") > 2500 > 1000 > middle_of("i")


def test_a_stop_is_silent_before_its_burst():
    said, sound = spoken(1, 8)  # eight
    frames = np.flatnonzero(said.phones == PHONES.index("t"))
    closed = said.heard[frames] < voices.PHONES["t"].closed
    level = np.array([np.std(sound[f * voices.HOP : (f + 1) * voices.HOP]) for f in frames])
    assert level[~closed].max() > 3 * level[closed][1:-1].max()
