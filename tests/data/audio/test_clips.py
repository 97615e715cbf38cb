"""Clips: what is cut, what describes it, what a run keeps, and what is refused."""

import functools

import numpy as np
import pytest

from research.core import UserError
from research.data.audio import clips, mu_law
from research.data.audio.clips import Format, SoundClips
from research.data.dataset import Dataset
from research.data.procedural import voices

HOP = voices.HOP


@functools.cache
def opened(local="", bins=64):
    form = Format(voices.RATE, bins, HOP, local)
    return SoundClips("voices", form, "train", "test", 1, 1, voices.RATE, len(voices.SPEAKERS))


def recordings(monkeypatch, records, **options):
    """Clips of a set as TFDS has spoken_digit."""
    made = Dataset(records, "some recordings")
    monkeypatch.setattr(clips, "load", lambda name, split, folder: made)
    clips._records.cache_clear()
    settings = {"source_rate": 8000, "speakers": 2, **options}
    form = Format(8000, 256, HOP, "mel")
    return SoundClips("spoken_digit", form, "train", "test", 1, 1, **settings)


def digit(speaker, take, word=3, samples=400):
    audio = np.random.default_rng(take).integers(-3000, 3000, samples)
    return {"audio": audio, "label": word, "audio/filename": f"{word}_{speaker}_{take}.wav"}


def test_a_clip_is_its_sound_in_bins_with_its_phones():
    every = voices.takes("train", 1)
    said, clip = every[13], opened().train[13]
    assert [c["speaker"] for c in opened().train] == [r["speaker"] for r in every]
    np.testing.assert_array_equal(clip["samples"], mu_law.encode(said["audio"], 64))
    np.testing.assert_array_equal(clip["classes"], said["phones"])
    assert clip["word"] == 3 and clip["local"].shape[1] == 0


def test_linguistic_features_are_those_of_the_score():
    said, clip = voices.takes("train", 1)[5], opened("linguistic").train[5]
    phones = len(voices.PHONES)
    np.testing.assert_array_equal(clip["local"][:, :phones].argmax(1), said["phones"])
    assert (clip["local"][:, :phones].sum(1) == 1).all()
    voiced, octaves, heard = clip["local"][:, phones:].T
    np.testing.assert_array_equal(voiced > 0, said["pitch"] > 0)
    np.testing.assert_allclose(150 * 2 ** octaves[voiced > 0], said["pitch"][voiced > 0], rtol=1e-5)
    np.testing.assert_array_equal(heard, said["heard"])


def test_a_crop_is_a_part_of_its_clip_and_of_its_frames():
    found = opened("mel")
    clip = found.train[0]
    crop = found.cut(clip, 3, 4)
    np.testing.assert_array_equal(crop["samples"], clip["samples"][3 * HOP : 7 * HOP])
    np.testing.assert_array_equal(crop["local"], clip["local"][3:7])
    np.testing.assert_array_equal(crop["classes"], clip["classes"][3:7])
    frames = len(clip["classes"])
    end = found.cut(clip, frames - 2, 4)
    assert (end["samples"][2 * HOP :] == clips.NO_SAMPLE).all()
    assert (end["samples"][: 2 * HOP] >= 0).all() and end["classes"][2:].tolist() == [-1, -1]
    batch = found.stream(4, 5 * HOP, seed=0)
    batch.open()
    rows = batch(None)
    assert rows["samples"].shape == (4, 5 * HOP) and rows["local"].shape == (4, 5, 20)
    for samples, local in zip(rows["samples"], rows["local"], strict=True):
        where = [
            (c, start)
            for c in found.train
            for start in range(len(c["classes"]) - 4)
            if np.array_equal(c["samples"][start * HOP : (start + 5) * HOP], samples)
        ]
        [(source, start)] = where
        np.testing.assert_array_equal(source["local"][start : start + 5], local)


def test_a_run_keeps_names_and_a_clip_of_each_word():
    found = opened("mel")
    other = SoundClips("voices", found.form, "none", "none", 1, 1, 8000, 6)
    other.from_files(found.to_files())  # and no data is opened
    assert other.names == found.names and other.names["words"][3] == "three"
    assert [int(clip["word"]) for clip in other.examples] == list(range(10))
    assert len({int(clip["speaker"]) for clip in other.examples}) > 1
    for a, b in zip(found.examples, other.examples, strict=True):
        for name in a:
            np.testing.assert_array_equal(a[name], b[name])


def test_recordings_are_split_by_takes(monkeypatch):
    takes = [digit(who, take) for who in ("ann", "bob") for take in (0, 4, 5, 9, 10, 30)]
    found = recordings(monkeypatch, takes)
    assert [len(found._open(s)) for s in ("train", "validation", "test")] == [4, 4, 4]
    clip = found.test[2]
    sound = takes[6]["audio"] / 32768
    np.testing.assert_array_equal(clip["samples"], mu_law.encode(sound, 256))
    assert clip["speaker"] == 1 and clip["classes"].tolist() == [3] * 5
    assert found.names["speakers"] == ["ann", "bob"]


def test_recordings_of_another_rate_are_converted(monkeypatch):
    takes = [digit(who, take, samples=800) for who in ("ann", "bob") for take in (0, 10)]
    found = recordings(monkeypatch, takes, source_rate=16000)
    assert len(found.train[0]["samples"]) == 400


@pytest.mark.parametrize(
    ("takes", "options", "words"),
    [
        (
            [digit("ann", 0), digit("ann", 10)],
            {},
            "1 speakers, not 2; set --config.data.speakers=1",
        ),
        ([digit("ann", 10), digit("bob", 10, samples=0)], {}, "a recording of bob is empty"),
        ([digit("ann", 10), digit("bob", 10, samples=79)], {}, "fewer than one frame of 80"),
    ],
)
def test_bad_recordings_in_one_line(monkeypatch, takes, options, words):
    found = recordings(monkeypatch, takes, **options)
    with pytest.raises(UserError, match=words) as error:
        [found.train[i] for i in range(len(found.train))]
    assert "\n" not in str(error.value)


def test_settings_that_do_not_go_together():
    form = Format(16000, 64, HOP)
    with pytest.raises(UserError, match="voices has 8000 samples a second"):
        SoundClips("voices", form, "train", "test", 1, 1, 8000, 6).train[0]
    with pytest.raises(UserError, match="data.length is a multiple of data.hop=80"):
        opened().stream(4, 1024, seed=0)
    with pytest.raises(UserError, match="no phones are known of 'spoken_digit'"):
        SoundClips("spoken_digit", Format(8000, 64, HOP, "linguistic"), "train", "test", 1, 1, 1, 1)
    with pytest.raises(UserError, match="data.local is one of"):
        Format(8000, 64, HOP, "mfcc")
    with pytest.raises(UserError, match="has the splits train, validation, test"):
        SoundClips("voices", Format(8000, 64, HOP), "dev", "test", 1, 1, 8000, 6).train  # noqa: B018
