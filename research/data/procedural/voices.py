"""Spoken digits that nobody spoke: words of phones by a small formant synthesiser (NumPy, seeded).

The words are the ten English digits, each a row of phones. A voice is a pulse train, the sum of its
harmonics, shaped by three formants (Fant's source and filter, with formants of adults after
Peterson and Barney, 1952) that glide from phone to phone; hisses and bursts are noise in a band.
Speakers differ in pitch, in the length of their vocal tract, which moves all formants, in breath,
in how fast the harmonics fall off, and in the noise of their room. From take to take the pitch, its
fall over the word, all lengths and the loudness change.

It is not speech: no person is heard in it, and what is measured on it says how well a model learns
pitch, formants and words, not how natural it sounds.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

RATE = 8000  # samples a second
HOP = 80  # samples of a frame, 10 ms


@dataclasses.dataclass(frozen=True)
class Phone:
    """A sound of speech.

    Attributes:
      formants: in Hz, of an adult man.
      voice: amplitude of the pulses, 0 for none.
      noise: amplitude of the noise.
      band: middle and width of the noise, in Hz.
      seconds: mean length.
      closed: share of it that is silent before the noise, as of a stop.
    """

    formants: tuple[float, float, float] = (500.0, 1500.0, 2500.0)
    voice: float = 0.0
    noise: float = 0.0
    band: tuple[float, float] = (2000.0, 1000.0)
    seconds: float = 0.06
    closed: float = 0.0


PHONES: dict[str, Phone] = {
    "-": Phone(seconds=0.03),  # silence
    "a": Phone((730, 1090, 2440), 1.0, seconds=0.10),
    "e": Phone((530, 1840, 2480), 0.9, seconds=0.09),
    "i": Phone((270, 2290, 3010), 0.8, seconds=0.09),
    "o": Phone((570, 840, 2410), 0.9, seconds=0.10),
    "u": Phone((300, 870, 2240), 0.8, seconds=0.10),
    "n": Phone((280, 1700, 2600), 0.35),
    "r": Phone((420, 1300, 1600), 0.5, seconds=0.05),
    "w": Phone((300, 610, 2200), 0.5, seconds=0.05),
    "v": Phone((300, 1100, 2300), 0.25, 0.05, (2500, 1500), 0.05),
    "z": Phone((300, 1500, 2500), 0.25, 0.15, (3400, 400)),
    "s": Phone(noise=0.25, band=(3500, 350), seconds=0.08),
    "f": Phone(noise=0.07, band=(2600, 1500), seconds=0.07),
    "T": Phone(noise=0.05, band=(3000, 800), seconds=0.06),  # as in three
    "t": Phone(noise=0.30, band=(3200, 600), seconds=0.06, closed=0.65),
    "k": Phone(noise=0.30, band=(1800, 400), seconds=0.07, closed=0.65),
}
WORDS = ("ziro", "wan", "tu", "Tri", "foar", "faiv", "siks", "seven", "eit", "nain")
WORD_NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_NAMES = tuple(PHONES)


@dataclasses.dataclass(frozen=True)
class Speaker:
    """A voice.

    Attributes:
      name: by which it is chosen.
      pitch: mean, in Hz.
      tract: factor of the formants, above 1 for a shorter vocal tract than a man's.
      breath: noise of the voiced sounds, as a share of their amplitude.
      tilt: exponent by which harmonics fall off.
      room: deviation of the background's noise.
    """

    name: str
    pitch: float
    tract: float
    breath: float
    tilt: float
    room: float


SPEAKERS = (
    Speaker("anna", 210.0, 1.17, 0.010, 0.7, 0.002),
    Speaker("boris", 105.0, 0.98, 0.004, 0.4, 0.004),
    Speaker("clara", 180.0, 1.12, 0.030, 0.9, 0.001),
    Speaker("dan", 130.0, 1.03, 0.015, 0.6, 0.008),
    Speaker("eva", 240.0, 1.22, 0.004, 0.5, 0.004),
    Speaker("fritz", 88.0, 0.92, 0.008, 0.8, 0.001),
)


@dataclasses.dataclass(frozen=True)
class Score:
    """How a word is said: what a text-to-speech front end would predict, for every frame.

    Attributes:
      phones: index in `PHONES` of each frame `[F]`, int32.
      pitch: in Hz `[F]`, float32; 0 where the voice is silent.
      heard: share of its phone that has passed `[F]`, float32 in 0 to 1.
    """

    phones: np.ndarray
    pitch: np.ndarray
    heard: np.ndarray


def score(speaker: int, word: int, seed: Sequence[int]) -> Score:
    """A way to say a word; another seed, another one.

    Args:
      speaker: index in `SPEAKERS`.
      word: the digit.
      seed: non-negative numbers.
    """
    rng = np.random.default_rng([*seed, speaker, word])
    names = "-" + WORDS[word] + "-"
    tempo = rng.uniform(0.85, 1.2)
    seconds = [PHONES[n].seconds * tempo * rng.uniform(0.85, 1.15) for n in names]
    frames = [max(2, round(s * RATE / HOP)) for s in seconds]
    phones = np.repeat([_NAMES.index(n) for n in names], frames).astype(np.int32)
    heard = np.concatenate([(np.arange(n) + 0.5) / n for n in frames]).astype(np.float32)
    voice = np.array([PHONES[_NAMES[p]].voice > 0 for p in phones])
    start = SPEAKERS[speaker].pitch * rng.uniform(0.92, 1.1)
    fall = rng.uniform(0.75, 0.95)
    pitch = start * np.linspace(1.0, fall, len(phones))
    return Score(phones, np.where(voice, pitch, 0.0).astype(np.float32), heard)


def say(speaker: int, said: Score, seed: Sequence[int]) -> np.ndarray:
    """The sound of a score: float32 `[F * HOP]` in -1 to 1.

    Args:
      speaker: index in `SPEAKERS`.
      said: from `score`.
      seed: of noise and loudness.
    """
    rng = np.random.default_rng([*seed, 7])
    who = SPEAKERS[speaker]
    tracks = _tracks(said)
    size = len(said.phones) * HOP
    sound = _voiced(who, tracks, size)
    sound += who.breath * tracks["voice"] * rng.normal(size=size)
    white = np.fft.rfft(rng.normal(size=size))
    hertz = np.fft.rfftfreq(size, 1 / RATE)
    for index in np.unique(said.phones):
        phone = PHONES[_NAMES[index]]
        if phone.noise:
            middle, width = phone.band[0] * min(who.tract, 1.08), phone.band[1]
            band = np.exp(-0.5 * ((hertz - middle) / width) ** 2)
            hiss = np.fft.irfft(white * band / np.sqrt(np.mean(band**2)), size)
            sound += _smooth(np.repeat((said.phones == index) * tracks["noise"], HOP)) * hiss
    sound *= rng.uniform(0.4, 0.8) / max(np.abs(sound).max(), 1e-6)
    sound += who.room * rng.normal(size=size)
    return np.clip(sound, -1.0, 1.0).astype(np.float32)


def _tracks(said: Score) -> dict[str, np.ndarray]:
    """What changes within a word: "noise" of each frame `[F]`, the others of each sample `[N]`."""
    phones = [PHONES[_NAMES[p]] for p in said.phones]
    formants = np.array([p.formants for p in phones], float)
    quiet = np.array([p.voice + p.noise == 0 or p.voice == 0 for p in phones])
    # The mouth is where it goes next while there is no voice.
    for frame in range(len(phones) - 2, -1, -1):
        if quiet[frame]:
            formants[frame] = formants[frame + 1]
    pitch = said.pitch.astype(float)
    known = np.flatnonzero(pitch)
    pitch = np.interp(np.arange(len(pitch)), known, pitch[known])
    open_now = np.array([h >= p.closed for p, h in zip(phones, said.heard, strict=True)])
    centres = (np.arange(len(phones)) + 0.5) * HOP
    samples = np.arange(len(phones) * HOP)
    return {
        "formants": np.stack(
            [_smooth(np.interp(samples, centres, track), 240) for track in formants.T]
        ),
        "pitch": np.interp(samples, centres, pitch),
        "voice": _smooth(np.repeat([p.voice for p in phones], HOP)),
        "noise": np.array([p.noise for p in phones]) * open_now,
    }


def _voiced(who: Speaker, tracks: dict[str, np.ndarray], size: int) -> np.ndarray:
    """The pulses `[N]` as a sum of harmonics below half the rate."""
    phase = 2 * np.pi * np.cumsum(tracks["pitch"]) / RATE
    sound = np.zeros(size)
    number = 1
    while number * tracks["pitch"].min() < RATE / 2:
        hertz = number * tracks["pitch"]
        gain = np.ones(size)
        for formant, width in zip(
            tracks["formants"] * who.tract, (80.0, 110.0, 170.0), strict=True
        ):
            gain = gain * formant**2 / np.hypot(formant**2 - hertz**2, width * hertz)
        audible = hertz < RATE / 2 - 100
        sound += audible * gain * number**-who.tilt * np.cos(number * phase)
        number += 1
    return 0.3 * tracks["voice"] * sound


def _smooth(track: np.ndarray, width: int = 80) -> np.ndarray:
    """The mean over `width` samples around each one."""
    padded = np.pad(track, (width // 2, width - width // 2 - 1), mode="edge")
    return np.convolve(padded, np.full(width, 1.0 / width), "valid")


SPLIT_SEEDS = {"train": 0, "validation": 1, "test": 2}


def takes(split: str, count: int) -> list[dict[str, Any]]:
    """Every word of every speaker `count` times; a longer list begins with a shorter one.

    Args:
      split: of `SPLIT_SEEDS`; no take is in two of them.
      count: takes of each word.

    Returns:
      Records "audio" float32 `[F * HOP]`, "speaker", "word", "phones" int32 `[F]`, "pitch" and
      "heard" float32 `[F]`.
    """
    records = []
    for take in range(count):
        for speaker in range(len(SPEAKERS)):
            for word in range(len(WORDS)):
                seed = (SPLIT_SEEDS[split], take)
                said = score(speaker, word, seed)
                records.append(
                    {
                        "audio": say(speaker, said, (*seed, speaker, word)),
                        "speaker": speaker,
                        "word": word,
                        **dataclasses.asdict(said),
                    }
                )
    return records
