"""Clips of speakers as numbers of bins, with frames that describe them, cut for training.

Every clip is cut to whole frames of `hop` samples. A frame has local features ("mel": the log-mel
spectrum around it; "linguistic": its phone and pitch, where they are known) and a class (its phone,
or for recordings without phones the word).
"""

from __future__ import annotations

import dataclasses
import functools
import io
import json
from collections.abc import Mapping, Sequence

import jax
import numpy as np

from research.core.errors import UserError, check_choice
from research.data import pipeline
from research.data.audio import files, mu_law, spectrum
from research.data.dataset import Dataset, Lazy, Record
from research.data.load import load
from research.data.procedural import voices

LOCAL = ("", "mel", "linguistic")
NO_SAMPLE = NO_CLASS = -1  # after the end of a clip
_EXAMPLES, _NAMES = "examples.npz", "clips.json"
_TEST_TAKES, _VALIDATION_TAKES = (
    range(5),
    range(5, 10),
)  # of spoken_digit; its own test is the first
_PREPARED = 4096  # clips that are kept as they are prepared


@dataclasses.dataclass(frozen=True)
class Format:
    """What is made of a sound.

    Attributes:
      rate: samples a second.
      bins: values of a sample.
      hop: samples of a frame.
      local: one of `LOCAL`.
      mel_bands, mel_window: of `spectrum.log_mel`.
    """

    rate: int
    bins: int
    hop: int
    local: str = ""
    mel_bands: int = 20
    mel_window: int = 240

    def __post_init__(self):
        check_choice("data.local", self.local, LOCAL)

    @property
    def features(self) -> int:
        """Local features of a frame."""
        linguistic = len(voices.PHONES) + 3
        return {"": 0, "mel": self.mel_bands, "linguistic": linguistic}[self.local]

    def mel(self, sound: np.ndarray) -> np.ndarray:
        """Log-mel frames `[F, bands]` of whole frames of sound, about -1 (silence) to 1."""
        frames = spectrum.log_mel(sound, self.mel_bands, self.mel_window, self.hop, self.rate)
        return frames / 2.0 + 1.5

    def whole(self, sound: np.ndarray) -> np.ndarray:
        """The sound without what is left over after its last whole frame."""
        return sound[: len(sound) // self.hop * self.hop]


def linguistic(phones: np.ndarray, pitch: np.ndarray, heard: np.ndarray) -> np.ndarray:
    """Features of a `voices.Score` `[F, P + 3]`: phone, voiced or not, log pitch, place in it."""
    one_hot = np.eye(len(voices.PHONES), dtype=np.float32)[phones]
    voiced = pitch > 0
    octaves = np.where(voiced, np.log2(np.where(voiced, pitch, 1.0) / 150.0), 0.0)
    rest = np.stack([voiced, octaves, heard], 1).astype(np.float32)
    return np.concatenate([one_hot, rest], 1)


class SoundClips:
    """Training and test clips of a set; an entry of `Experiment.assets`, which keeps some examples.

    Attributes:
      name: "voices" for `procedural.voices`; "spoken_digit", "vctk" or another set of `data.load`
        with the features of one of them.
      form: see `Format`.
      train_split, test_split: for "voices" and "spoken_digit" "train", "validation" or "test";
        otherwise of `data.load`.
      train_takes, test_takes: of each word, of "voices".
      source_rate: samples a second of the data, where it does not say so itself.
      speakers: how many speakers there are, which is known before the data is opened.
    """

    def __init__(
        self,
        name: str,
        form: Format,
        train_split: str,
        test_split: str,
        train_takes: int,
        test_takes: int,
        source_rate: int,
        speakers: int,
        folder: str = "",
    ):
        self.name, self.form, self.folder = name, form, folder
        self.train_split, self.test_split = train_split, test_split
        self.takes = {"train": train_takes}
        self.test_takes, self.source_rate = test_takes, source_rate
        self.num_speakers = speakers
        self._kept: tuple[list[Record], dict[str, list[str]]] | None = None
        if form.local == "linguistic" and name != "voices":
            raise UserError(
                f"no phones are known of {name!r}: data.local=linguistic is for data.name=voices"
            )

    @functools.cached_property
    def train(self) -> Dataset:
        """Prepared training clips."""
        return self._open(self.train_split)

    @functools.cached_property
    def test(self) -> Dataset:
        """Prepared test clips."""
        return self._open(self.test_split)

    @property
    def names(self) -> dict[str, list[str]]:
        """Names of "speakers" and of "words"; from the run where it has kept them."""
        return self._keep()[1]

    @property
    def examples(self) -> list[Record]:
        """A few test clips, one of each word; from the run where it has kept them."""
        return self._keep()[0]

    def to_files(self) -> dict[str, bytes]:
        examples, names = self._keep()
        file = io.BytesIO()
        arrays = {
            f"{i}/{name}": value
            for i, example in enumerate(examples)
            for name, value in example.items()
        }
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]
        return {_EXAMPLES: file.getvalue(), _NAMES: json.dumps(names).encode()}

    def from_files(self, files: Mapping[str, bytes]) -> None:
        examples: dict[int, Record] = {}
        with np.load(io.BytesIO(files[_EXAMPLES])) as arrays:
            for key in arrays.files:
                index, name = key.split("/")
                examples.setdefault(int(index), {})[name] = arrays[key]
        self._kept = [examples[i] for i in sorted(examples)], json.loads(files[_NAMES])

    def stream(self, batch_size: int, length: int, seed: int) -> pipeline.Stream:
        """Batches of crops: "samples" `[B, T]`, "speaker" `[B]`, "local" `[B, F, L]`, "classes"
        `[B, F]`; crops begin on a frame, and what is beyond a clip's end is `NO_SAMPLE`.

        Raises:
          UserError: a crop is not of whole frames.
        """
        if length % self.form.hop:
            raise UserError(
                f"data.length is a multiple of data.hop={self.form.hop} samples, not {length}"
            )
        frames = length // self.form.hop
        spec = {
            "samples": jax.ShapeDtypeStruct((length,), np.int32),
            "speaker": jax.ShapeDtypeStruct((), np.int32),
            "local": jax.ShapeDtypeStruct((frames, self.form.features), np.float32),
            "classes": jax.ShapeDtypeStruct((frames,), np.int32),
        }

        def crop(clip: Record, rng: np.random.Generator) -> Record:
            spare = len(clip["classes"]) - frames
            return self.cut(clip, int(rng.integers(spare + 1)) if spare > 0 else 0, frames)

        return pipeline.stream(self._open_both, spec, batch_size, seed, crop)

    def cut(self, clip: Record, start: int, frames: int) -> Record:
        """Some frames of a clip, filled up where it ends."""
        hop = self.form.hop
        spare = max(0, start + frames - len(clip["classes"]))
        part = slice(start, start + frames)
        samples = clip["samples"][start * hop : (start + frames) * hop]
        return {
            "samples": np.pad(samples, (0, spare * hop), constant_values=NO_SAMPLE),
            "speaker": np.int32(clip["speaker"]),
            "local": np.pad(clip["local"][part], ((0, spare), (0, 0))),
            "classes": np.pad(clip["classes"][part], (0, spare), constant_values=NO_CLASS),
        }

    def _keep(self) -> tuple[list[Record], dict[str, list[str]]]:
        if self._kept is None:
            by_word: dict[int, Record] = {}
            for index in range(min(len(self.test), 200)):
                # From speaker to speaker, too: the words of one follow each other.
                clip = self.test[index * 7 % len(self.test)]
                by_word.setdefault(int(clip["word"]), clip)
            words = list(voices.WORD_NAMES)
            speakers = _speakers(self.name, self._records(self.train_split), self.num_speakers)
            self._kept = (
                [by_word[w] for w in sorted(by_word)],
                {
                    "speakers": speakers,
                    "words": words,
                },
            )
        return self._kept

    def _open_both(self) -> Dataset:
        assert len(self.test)  # opened now, and not when all training is done
        return self.train

    def _open(self, split: str) -> Dataset:
        records = self._records(split)
        speakers = _speakers(self.name, self._records(self.train_split), self.num_speakers)
        prepare = functools.lru_cache(_PREPARED)(
            lambda index: self._prepared(records[index], speakers)
        )
        return Dataset(Lazy(range(len(records)), prepare), records.origin)

    def _records(self, split: str) -> Dataset:
        takes = self.takes.get(split, self.test_takes)
        return _records(self.name, split, takes, self.folder)

    def _prepared(self, record: Record, speakers: Sequence[str]) -> Record:
        form = self.form
        if self.name == "voices":
            _check_rate(self.name, voices.RATE, form.rate)
            if form.hop != voices.HOP:
                raise UserError(f"data.hop is {voices.HOP} for data.name=voices, not {form.hop}")
            sound, word, classes = record["audio"], record["word"], record["phones"]
            speaker = record["speaker"]
        else:
            sound, speaker_name, word = _recording(record)
            if not len(sound):
                raise UserError(f"{self.name}: a recording of {speaker_name} is empty; take it out")
            speaker = speakers.index(speaker_name)
            sound = form.whole(files.resampled(sound, self.source_rate, form.rate))
            classes = np.full(len(sound) // form.hop, word, np.int32)
        if len(sound) < form.hop:
            raise UserError(
                f"{self.name}: a recording has {len(sound)} samples, fewer than one frame of "
                f"{form.hop}; take it out"
            )
        local = np.zeros((len(classes), 0), np.float32)
        if form.local == "mel":
            local = form.mel(sound)
        elif form.local == "linguistic":
            local = linguistic(record["phones"], record["pitch"], record["heard"])
        return {
            "samples": mu_law.encode(sound, form.bins),
            "speaker": np.int32(speaker),
            "word": np.int32(word),
            "local": local.astype(np.float32),
            "classes": classes,
        }


def _check_rate(name: str, rate: int, wanted: int) -> None:
    if rate != wanted:
        raise UserError(f"{name} has {rate} samples a second; set --config.data.rate={rate}")


@functools.lru_cache(maxsize=4)  # arms and seeds of a run hear the same clips
def _records(name: str, split: str, takes: int, folder: str) -> Dataset:
    """Records as they come."""
    if name == "voices":
        if split not in voices.SPLIT_SEEDS:
            raise UserError(
                f"data set 'voices' has the splits {', '.join(voices.SPLIT_SEEDS)}, not {split!r}"
            )
        records = voices.takes(split, takes)
        return Dataset(records, f"procedural voices (synthetic), {split}, {takes} takes a word")
    if name != "spoken_digit":
        return load(name, split, folder)
    by_take = {"test": _TEST_TAKES, "validation": _VALIDATION_TAKES}
    if split not in ("train", *by_take):
        raise UserError(
            f"data set {name!r} is split by takes in train, validation and test, not {split!r}"
        )
    every = load(name, "train", folder)

    def split_of(record: Record) -> str:
        take = int(record["audio/filename"].rsplit(".", 1)[0].split("_")[2])
        return next((part for part, takes in by_take.items() if take in takes), "train")

    chosen = [record for record in every if split_of(record) == split]
    return Dataset(chosen, f"{every.origin}; {split} by takes (0 to 4 test, 5 to 9 validation)")


def _recording(record: Record) -> tuple[np.ndarray, str, int]:
    """Samples in -1 to 1, the speaker's name, and the word where there is one, of a TFDS record."""
    if "audio/filename" in record:  # spoken_digit
        speaker = record["audio/filename"].split("_")[1]
        return np.asarray(record["audio"], np.float32) / 32768, speaker, int(record["label"])
    return np.asarray(record["speech"], np.float32) / 32768, str(record["speaker"]), 0  # vctk


def _speakers(name: str, records: Dataset, expected: int) -> list[str]:
    """Names of the speakers in order.

    Raises:
      UserError: there are not as many as expected.
    """
    if name == "voices":
        found = [speaker.name for speaker in voices.SPEAKERS]
    elif name == "spoken_digit":
        found = sorted({record["audio/filename"].split("_")[1] for record in records})
    else:
        return [str(index) for index in range(expected)]
    if len(found) != expected:
        raise UserError(
            f"{records.origin}: {len(found)} speakers, not {expected}; set "
            f"--config.data.speakers={len(found)}"
        )
    return found
