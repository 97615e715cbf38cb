"""WaveNet: A Generative Model for Raw Audio (van den Oord et al., 2016), arXiv:1609.03499, with the
Fast Wavenet Generation Algorithm (Paine et al., 2016), arXiv:1611.09482.

Claim: a stack of dilated causal convolutions models raw sound, one sample after another. It hears
further than one without dilation at the same cost; it can be told who speaks and what is said; it
tells phones as it listens; and from queues of what its layers need of the past it speaks at the
cost of one step of each layer a sample.

Departures: the paper does not say its sizes, its rate of learning or its batch; those of `:paper`
are of public re-builds. What a filter lacks before a crop's beginning is zero in every layer, and
every sample of a crop is predicted. The last layer has no residual connection, which nothing would
read. The linguistic features of text-to-speech come from no text: they are those that the default's
synthetic voices are made from, and log-mel frames stand in for them where there is a recording.
"""

from __future__ import annotations

import research.early  # answers --help at once

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from ml_collections import ConfigDict

from research import app, training
from research.core import Aux, Experiment, Learner
from research.core.errors import UserError
from research.data.audio import mu_law
from research.data.audio.clips import Format, SoundClips, linguistic
from research.data.audio.files import encode_wav
from research.data.audio.spectrum import SHOWN_HOP, decibels
from research.data.procedural import voices
from research.decoding.queues import DRAWN, Drawn, draw, draw_naively
from research.models.wavenet import WaveNet
from research.papers.wavenet import bounds, probe
from research.papers.wavenet.costs import costs
from research.report.claims import Claim, Paper, Results
from research.report.demo import Audio, Choice, Demo, Image, Input, Number
from research.viz import spectrograms

PAPER = Paper(
    title="WaveNet: A Generative Model for Raw Audio",
    authors="Aäron van den Oord, Sander Dieleman, Heiga Zen, Karen Simonyan, Oriol Vinyals, Alex "
    "Graves, Nal Kalchbrenner, Andrew Senior, Koray Kavukcuoglu",
    year=2016,
    arxiv="1609.03499",
    field="sound",
    claim="dilated causal convolutions model raw sound, and say what they are told in whose voice",
    parameters={
        # The paper has no counts: by layers, 50 of 32 channels and 512 to the output.
        "vctk50": (2 * 256 * 32 + 32)  # two taps of one-hot samples
        + 50 * ((2 * 32 * 64 + 64) + 16 * 64 + (32 * 512 + 512))  # gates, V h, skip
        + 49 * (32 * 32 + 32)  # residual
        + (512 * 512 + 512)
        + (512 * 256 + 256)
        + 109 * 16,  # speakers
    },
    curves=("nats",),
    x="samples",
    method="speech",
)

Numbers = dict[str, float]


class RawAudio(Experiment):
    """p(x | h) = prod_t p(x_t | x_1, ..., x_{t-1}, h) (equations 1 and 4), x_t of Q bins."""

    def __init__(self, config: ConfigDict):
        self.config, data, model = config, config.data, config.model
        self.form = Format(
            data.rate, model.bins, data.hop, data.local, data.mel_bands, data.mel_window
        )
        self.clips = SoundClips(
            data.name,
            self.form,
            data.train_split,
            data.test_split,
            data.train_takes,
            data.test_takes,
            data.source_rate,
            data.speakers,
            data.dir,
        )
        self.assets = (self.clips,)
        if np.prod(model.strides) != data.hop:
            raise UserError(
                f"the product of model.strides={model.strides} is the samples of a frame, "
                f"data.hop={data.hop}"
            )
        block = [2**i if model.dilated else 1 for i in range(model.layers)]
        self.net = WaveNet(
            bins=model.bins,
            dilations=tuple(block * model.blocks),
            taps=model.taps,
            input_taps=model.input_taps,
            residual=model.residual,
            gate=model.gate,
            skip=model.skip,
            head=model.head,
            scalar_input=model.scalar_input,
            speakers=data.speakers if model.global_conditioning else 0,
            speaker_features=model.speaker_features,
            local_features=self.form.features,
            strides=tuple(model.strides),
            classes=model.classes,
            class_features=model.class_features,
            context_factor=model.context_factor,
            context_features=model.context_features,
            context_dilations=tuple(2**i for i in range(model.context_layers)),
            dtype=jnp.dtype(config.compute_dtype),
        )
        self.source = self.clips.stream(config.batch_size, data.length, config.seed)
        self.per_step = {"samples": config.batch_size * data.length}
        self.num_steps = config.num_steps
        self.micro_batches = config.accumulate_steps
        rate = optax.linear_schedule(
            config.learning_rate, config.end_factor * config.learning_rate, config.num_steps
        )
        self.learner = Learner(
            self.net,
            optax.adam(rate),
            accumulate=config.accumulate_steps,
            max_grad_norm=config.max_grad_norm,
            ema_decay=config.ema_decay,
        )
        self.jit_scores = jax.jit(self.scores)
        self.jit_draw = jax.jit(self.draw, static_argnames="temperature")

    def init(self, key):
        frames = self.config.data.length // self.form.hop
        return self.learner.init(
            key,
            jnp.zeros((1, frames * self.form.hop), jnp.int32),
            jnp.zeros(1, jnp.int32),
            jnp.zeros((1, frames, self.form.features)),
        )

    # Training.

    def loss(self, variables, batch, key):
        """-log p of the mean sample, and of the mean frame's class where there are classes (3.4).

        `batch`: "samples" [B, T], "speaker" [B], "local" [B, F, L], "classes" [B, F].
        """
        nats, heard, frame_nats, frames, _ = self.nats(variables, batch)
        samples = jnp.maximum(heard.sum(), 1)
        loss = nats.sum() / samples
        metrics = {"nats": loss}
        if self.net.classes:
            of_frames = frame_nats.sum() / jnp.maximum(frames.sum(), 1)
            metrics["frame_nats"] = of_frames
            loss = loss + self.config.class_weight * of_frames
        return loss, Aux(metrics, weight=samples)

    def nats(self, variables: Any, batch: Any) -> tuple[jax.Array, ...]:
        """-log p of samples `[B, T]`, which of them there are, the same of frames' classes
        `[B, F]`, and which of those are wrong; 0 where there is nothing to tell."""
        logits, more = self.learner.apply(
            variables, batch["samples"], batch["speaker"], batch["local"]
        )
        heard = batch["samples"] >= 0
        nats = heard * _cross_entropy(logits, batch["samples"])
        classes = batch["classes"]
        if not self.net.classes:
            nothing = jnp.zeros(classes.shape)
            return nats, heard, nothing, nothing, nothing
        known = classes >= 0
        frame_nats = known * _cross_entropy(more["classes"], classes)
        wrong = known & (jnp.argmax(more["classes"], -1) != classes)
        return nats, heard, frame_nats, known, wrong

    def step(self, state, batch, t, key):
        return self.learner.minimize(state, self.loss, batch, key)

    # Evaluation.

    def test_rows(self) -> list[dict[str, np.ndarray]]:
        """Test clips from their beginnings."""
        frames = self.config.eval.length // self.form.hop
        return [self.clips.cut(clip, 0, frames) for clip in self.clips.test]

    def scores(self, variables: Any, rows: Any) -> dict[str, jax.Array]:
        """Sums `[B]` over each row."""
        nats, heard, _, frames, wrong = self.nats(variables, rows)
        found = {"nats": nats, "heard": heard, "frames": frames, "wrong": wrong}
        return {name: value.sum(1) for name, value in found.items()}

    def mean_scores(self, state: Any, rows: list[dict[str, np.ndarray]]) -> Numbers:
        """Nats of the mean sample, and wrong frames in percent."""
        variables = self.learner.eval_variables(state)
        found = training.map_batches(self.jit_scores, variables, rows, self.config.eval.batch_size)
        total = {name: float(value.sum()) for name, value in found.items()}
        numbers = {"loss": total["nats"] / total["heard"]}
        if self.net.classes:
            numbers["frame_error"] = 100 * total["wrong"] / total["frames"]
        return numbers

    def evaluate(self, state, key):
        rows = self.test_rows()
        numbers = {f"test/{name}": value for name, value in self.mean_scores(state, rows).items()}
        numbers["test/bits"] = numbers["test/loss"] / np.log(2)
        if self.net.speakers:
            count = self.net.speakers
            swapped = [{**row, "speaker": (row["speaker"] + 1) % count} for row in rows]
            numbers["test/loss_swapped"] = self.mean_scores(state, swapped)["loss"]
        if self.net.local_features:
            late = [{**row, "local": np.roll(row["local"], 1, axis=0)} for row in rows]
            numbers["test/loss_late"] = self.mean_scores(state, late)["loss"]
        if self.net.classes:
            seen = np.concatenate([clip["classes"] for clip in self.clips.train])
            commonest = np.bincount(seen).argmax()
            classes = np.concatenate([row["classes"] for row in rows])
            wrong = classes[classes >= 0] != commonest
            numbers["test/frame_error_of_commonest"] = 100 * float(wrong.mean())
        return numbers

    # Generation.

    def draw(
        self,
        variables: Any,
        key: jax.Array,
        given: jax.Array,
        speaker: jax.Array,
        local: jax.Array,
        *,
        temperature: float,
    ) -> Drawn:
        """See `queues.draw`."""
        return draw(self.net, variables, key, given, speaker, local, temperature)

    def speak(
        self, state: Any, seed: int, speaker: np.ndarray, local: np.ndarray, temperature: float
    ) -> tuple[np.ndarray, np.ndarray]:
        """Sounds `[B, T]` of speakers `[B]` and frames `[B, F, L]`, and the entropy of each sample.

        Frames of no features say how long the sound is.
        """
        batch, frames, _ = local.shape
        given = jnp.full((batch, frames * self.form.hop), DRAWN)
        drawn = self.jit_draw(
            self.learner.eval_variables(state),
            jax.random.key(seed),
            given,
            jnp.asarray(speaker),
            jnp.asarray(local),
            temperature=temperature,
        )
        logp = jax.nn.log_softmax(drawn.logits)
        entropy = -(jnp.exp(logp) * logp).sum(-1)
        return mu_law.decode(np.asarray(drawn.samples), self.form.bins), np.asarray(entropy)

    def told(self, speaker: int, word: int, seed: int, pitch: float = 1.0) -> np.ndarray:
        """Linguistic features `[F, L]` of a word, said as `seed` has it."""
        said = voices.score(speaker, word, (voices.SPLIT_SEEDS["test"], 1000 + seed))
        return linguistic(said.phones, pitch * said.pitch, said.heard)


def _cross_entropy(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """-log p of labels, of those below 0 some number."""
    return optax.softmax_cross_entropy_with_integer_labels(logits, jnp.maximum(labels, 0))


def main(experiment: RawAudio, config: ConfigDict, workdir: Path) -> Numbers:
    state, numbers = training.run(experiment, config, workdir)
    numbers = dict(numbers)
    if config.eval.compared_samples:
        numbers |= against_no_network(experiment)
        numbers |= generation_checks(experiment, state)
    sounds, more = some_sounds(experiment, state)
    for name, sound in sounds.items():
        path = workdir / f"{name.replace(' ', '_')}.wav"
        path.write_bytes(encode_wav(sound, experiment.form.rate))
    columns = 2 if config.data.local == "mel" else 3  # recorded and vocoded side by side
    rate, shown = experiment.form.rate, {name: decibels(s) for name, s in sounds.items()}
    spectrograms.draw(workdir / "spectrograms.png", shown, rate / SHOWN_HOP, rate / 2, columns)
    return {**numbers, **more}


def against_no_network(experiment: RawAudio) -> Numbers:
    """The test samples by counts and by linear prediction, both of the training clips."""
    setting, bins = experiment.config.eval, experiment.net.bins
    train = [clip["samples"] for clip in experiment.clips.train]
    test = [row["samples"][row["samples"] >= 0] for row in experiment.test_rows()]
    counts = bounds.count_losses(train, test, setting.ngram_orders, bins)
    numbers = {f"counts/{n}_grams": nats for n, nats in counts.items()}
    some = train[: setting.linear_prediction_clips]
    numbers["counts/linear_prediction"] = bounds.linear_prediction_loss(some, test, bins)
    return {**numbers, "counts/best": min(numbers.values())}


def generation_checks(experiment: RawAudio, state: Any) -> Numbers:
    """Generation by queues against the naive one, what both cost, and the receptive field."""
    setting, net = experiment.config.eval, experiment.net
    variables, key = experiment.learner.eval_variables(state), jax.random.key(1)
    given = jnp.full((1, setting.compared_samples), DRAWN)
    fast = jax.jit(lambda v: draw(net, v, key, given))(variables)
    naive = jax.jit(lambda v: draw_naively(net, v, key, given))(variables)
    field = probe.receptive_field(net, variables, key, 2 * net.receptive_field + 10)
    block = [2**i for i in range(setting.counted_layers)]
    deep = costs(net.clone(dilations=tuple(block * setting.counted_blocks)))
    return {
        "queues/same_samples": float(np.mean(np.asarray(fast.samples == naive.samples))),
        "queues/logits_apart": float(jnp.abs(fast.logits - naive.logits).max()),
        "queues/multiply_adds": deep.queues,
        "queues/multiply_adds_without": deep.needed,
        "queues/times_cheaper": deep.needed / deep.queues,
        "queues/times_cheaper_here": costs(net).needed / costs(net).queues,
        "field/reach": field.reach,
        "field/nearest": field.nearest,
        "field/reach_wrong": abs(field.reach - net.receptive_field),
    }


def some_sounds(experiment: RawAudio, state: Any) -> tuple[dict[str, np.ndarray], Numbers]:
    """What the model says: name -> sound `[N]`, and numbers about it."""
    form, setting, names = experiment.form, experiment.config.eval, experiment.clips.names
    seed = experiment.config.seed
    if form.local == "mel":
        return vocoded(experiment, state, setting.shown_sounds)
    speakers = np.arange(setting.shown_sounds) % max(experiment.net.speakers, 1)
    if form.local == "linguistic":
        words = np.arange(setting.shown_sounds) * 3 % len(names["words"])
        told = [experiment.told(s, w, seed) for s, w in zip(speakers, words, strict=True)]
        lengths = [len(frames) for frames in told]
        sounds, entropy = experiment.speak(state, seed, speakers, _stack(told), 1.0)
        titles = [
            f"{names['speakers'][s]} {names['words'][w]}"
            for s, w in zip(speakers, words, strict=True)
        ]
    else:
        frames = setting.length // form.hop
        lengths = [frames] * len(speakers)
        nothing = np.zeros((len(speakers), frames, 0), np.float32)
        sounds, entropy = experiment.speak(state, seed, speakers, nothing, 1.0)
        conditioned = experiment.net.speakers > 0
        titles = [names["speakers"][s] if conditioned else "anybody" for s in speakers]
        titles = [f"{title} {i + 1}" for i, title in enumerate(titles)]
    cut = [sound[: n * form.hop] for sound, n in zip(sounds, lengths, strict=True)]
    return dict(zip(titles, cut, strict=True)), {"samples/entropy": float(entropy.mean())}


def vocoded(experiment: RawAudio, state: Any, shown: int) -> tuple[dict[str, np.ndarray], Numbers]:
    """Test clips said again from their log-mel frames alone.

    How far the log-mel frames of a sound are from those that it was made from, in their own units,
    and from those of another clip: the mean absolute difference.
    """
    form, clips = experiment.form, experiment.clips.examples
    frames = [clip["local"] for clip in clips]
    speakers = np.array([clip["speaker"] for clip in clips])
    seed = experiment.config.seed
    sounds, entropy = experiment.speak(state, seed, speakers, _stack(frames), 1.0)
    made = [form.mel(s[: len(f) * form.hop]) for s, f in zip(sounds, frames, strict=True)]

    def apart(a: np.ndarray, b: np.ndarray) -> float:
        both = min(len(a), len(b))
        return float(np.abs(a[:both] - b[:both]).mean())

    count = len(clips)
    numbers = {
        "samples/entropy": float(entropy.mean()),
        "vocoded/apart": float(np.mean([apart(made[i], frames[i]) for i in range(count)])),
        "vocoded/apart_from_others": float(
            np.mean([apart(made[i], frames[(i + 1) % count]) for i in range(count)])
        ),
    }
    found: dict[str, np.ndarray] = {}
    for clip, sound in list(zip(clips, sounds, strict=True))[: (shown + 1) // 2]:
        word = experiment.clips.names["words"][int(clip["word"])]
        found[f"{word} recorded"] = mu_law.decode(clip["samples"], form.bins)
        found[f"{word} vocoded"] = sound[: len(clip["samples"])]
    return found, numbers


def _stack(frames: list[np.ndarray]) -> np.ndarray:
    """Rows of frames `[F, L]` as one array, shorter ones with their last frame again at the end."""
    longest = max(map(len, frames))
    return np.stack([np.pad(f, ((0, longest - len(f)), (0, 0)), mode="edge") for f in frames])


def demo(experiment: RawAudio, state: Any) -> Demo:
    """Says a word, says a recording again, or babbles, as the model is conditioned."""
    form, net = experiment.form, experiment.net
    names, examples = experiment.clips.names, experiment.clips.examples
    words = [names["words"][int(clip["word"])] for clip in examples]
    inputs: dict[str, Input] = {}
    if net.speakers:
        inputs["speaker"] = Choice("who speaks", names["speakers"], names["speakers"][0])
    if form.local == "linguistic":
        inputs["word"] = Choice("what is said", names["words"], names["words"][0])
        inputs["pitch"] = Number("pitch, as a factor", 1.0, 0.5, 2.0, 0.05)
    elif form.local == "mel":
        inputs["recording"] = Audio("a recording that is said again", form.rate)
        inputs["word"] = Choice("a test recording, where there is none above", words, words[0])
    else:
        inputs["seconds"] = Number("seconds", 1.0, 0.1, 10.0, 0.1)
    inputs["temperature"] = Number("temperature: below 1, more even", 1.0, 0.05, 2.0, 0.05)
    inputs["number"] = Number("which draw: another number, another sound", 0, 0, 9999)

    def local_frames(speaker: int, given: Mapping[str, Any]) -> np.ndarray:
        if form.local == "linguistic":
            word = names["words"].index(given["word"])
            return experiment.told(speaker, word, given["number"], given["pitch"])
        if form.local == "":
            return np.zeros((round(given["seconds"] * form.rate / form.hop), 0), np.float32)
        if given["recording"] is None:
            return examples[words.index(given["word"])]["local"]
        sound = form.whole(given["recording"])
        if not len(sound):
            raise UserError(f"the recording is shorter than a frame of {form.hop} samples")
        return form.mel(sound)

    def run(**given: Any) -> Mapping[str, Any]:
        speaker = names["speakers"].index(given["speaker"]) if net.speakers else 0
        frames = local_frames(speaker, given)
        sounds, _ = experiment.speak(
            state, given["number"], np.array([speaker]), frames[None], given["temperature"]
        )
        return {"sound": sounds[0], "spectrogram": spectrograms.picture(decibels(sounds[0]))}

    return Demo(
        title="Sound, sample by sample",
        says="A network that draws a sound one sample after another. Told phones and pitch, it "
        "says a word in a chosen voice; told the spectrum of a recording, it says that again; told "
        "nothing, it babbles: sounds of speech without words. After minutes of learning it is "
        "noisy.",
        inputs=inputs,
        outputs={
            "sound": Audio("what it says", form.rate),
            "spectrogram": Image("its spectrogram"),
        },
        run=run,
    )


def claims(results: Results) -> list[Claim]:
    """What each part is for, each against the network without it."""
    return [*likelihood_claims(results), *condition_claims(results), *generation_claims(results)]


def likelihood_claims(results: Results) -> list[Claim]:
    """Dilation (section 2.1), against none and against no network; frames' classes (3.4)."""
    known = results.side_by_side("dilated", simple="counts/best", WaveNet="test/loss")
    frames = results.side_by_side(
        "phones", commonest="test/frame_error_of_commonest", told="test/frame_error"
    )
    return [
        results["test/loss"].above(
            "undilated",
            "dilated",
            by=0.05,
            claim="dilation, at as many parameters and multiplications: nats a sample",
            paper="a receptive field that grows exponentially with depth",
            digits=3,
        ),
        known.above(
            "simple",
            "WaveNet",
            by=0.2,
            claim="better than counts of n-grams and linear prediction, nats a sample",
            paper="(no such comparison; sanity)",
            digits=3,
        ),
        frames.above(
            "commonest",
            "told",
            by=40.0,
            claim="a second head tells what frames are of from raw sound, percent wrong",
            paper="18.8 % phone errors on TIMIT, the best of raw sound",
            digits=1,
        ),
    ]


def condition_claims(results: Results) -> list[Claim]:
    """Global and local conditioning (section 2.5)."""
    loss = results["test/loss"]
    speaker = results.side_by_side("speaker", swapped="test/loss_swapped", own="test/loss")
    late = results.side_by_side("mel", late="test/loss_late", own="test/loss")
    again = results.side_by_side("mel", others="vocoded/apart_from_others", own="vocoded/apart")
    rows = [
        loss.above(
            "dilated",
            "speaker",
            by=0.005,
            claim="told who speaks: nats a sample",
            paper="one model of 109 speakers by a one-hot vector (3.1)",
            rule="seed by seed",
            pairs="the same crops, and first weights of what both have",
            digits=3,
        ),
        speaker.above(
            "swapped",
            "own",
            by=0.03,
            claim="told that another one speaks: nats a sample",
            paper="switches between speakers by conditioning (3.1)",
            digits=3,
        ),
        loss.above(
            "dilated",
            "mel",
            by=0.05,
            claim="told log-mel frames: nats a sample",
            paper="local conditioning (2.5)",
            digits=3,
        ),
        late.above(
            "late",
            "own",
            by=0.04,
            claim="frames that come 10 ms late: nats a sample",
            paper="local conditioning is aligned with the samples (2.5)",
            digits=3,
        ),
        again.above(
            "others",
            "own",
            by=0.08,
            claim="says recordings again from their frames: distance of log-mel frames",
            paper="(vocoders came later)",
            digits=3,
        ),
    ]
    if "speech" in results.arms:  # phones are known
        rows.append(
            loss.above(
                "speaker",
                "speech",
                by=0.05,
                claim="told phones and pitch, too: nats a sample",
                paper="text-to-speech from linguistic features and log F0 (3.2)",
                digits=3,
            )
        )
    return rows


def generation_claims(results: Results) -> list[Claim]:
    """Queues, and the receptive field."""
    return [
        results["queues/same_samples"].at_least(
            "dilated",
            1.0,
            claim="samples by queues that are those of the whole network, run anew for each",
            paper="the same samples (Paine et al.)",
        ),
        results["queues/times_cheaper"].at_least(
            "dilated",
            50.0,
            claim="multiply-adds without queues over those with, three blocks of ten layers",
            paper="L layers in place of 2^L (Paine et al.)",
            digits=0,
        ),
        results["field/reach_wrong"].at_most(
            "dilated",
            0.0,
            claim="receptive field by the gradient less that of the formula, samples",
            paper="1 + sum of dilations (2.1)",
            digits=0,
        ),
        results["field/nearest"].within(
            "dilated",
            1.0,
            1.0,
            claim="the nearest sample that a prediction depends on is the one before",
            paper="causal: p(x_t | x_1, ..., x_{t-1}) (equation 1)",
            digits=0,
        ),
    ]


if __name__ == "__main__":
    app.run()
