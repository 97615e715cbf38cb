"""GANs Trained by a Two Time-Scale Update Rule Converge to a Local Nash Equilibrium (Heusel et al.,
2017), arXiv:1706.08500, and the other metrics that samples of generative models are judged by.

Claim: the Frechet distance of a network's features rises with every disturbance of images, as the
more it is one, where the Inception score may not notice; precision and recall (Kynkaanniemi et al.,
2019) tell images that are spoilt from images that are missing; the kernel distance (Binkowski et
al., 2018) has no bias, and that of the Frechet distance falls with the number of images and is
taken out by a line (Chong and Forsyth, 2020); path length and separability (Karras et al., 2018)
tell bent latents from straight ones where samples are the same.

Departures: features are those of a small network that is trained here, or Inception's where its
weights are in the data folder; the metrics' names say which. Numbers by the project's network are
not comparable with published ones. Of the paper's disturbances swirls and foreign images are left
out, and one square stands for its five rectangles. The paper's training with two rates is not here.
"""

from __future__ import annotations

import research.early  # answers --help at once

import functools
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np
from ml_collections import ConfigDict

from research import app, training
from research.core import LearnerState, UserError
from research.data.images import squares
from research.metrics import fid, manifold, path_length, perceptual
from research.metrics.features import FeatureNet
from research.metrics.perceptual import PerceptualDistance
from research.metrics.project_cnn import ClassifierTraining
from research.metrics.separability import linear_separability
from research.papers.gan_metrics.disturbances import DISTURBANCES
from research.papers.gan_metrics.figures import draw_bias, draw_disturbances
from research.papers.gan_metrics.linear_sampler import LinearSampler
from research.report.claims import Claim, Paper, Results, Scores
from research.report.demo import Choice, Demo, Image, Number, Text
from research.training.feature_network import check_network, released_network
from research.viz.image_grids import grid

PAPER = Paper(
    title="GANs Trained by a Two Time-Scale Update Rule Converge to a Local Nash Equilibrium",
    authors="Martin Heusel, Hubert Ramsauer, Thomas Unterthiner, Bernhard Nessler, Sepp Hochreiter",
    year=2017,
    arxiv="1706.08500",
    field="generative models",
    claim="the Frechet distance of a network's features rises with every disturbance of images",
    parameters={
        # Three 3x3 convolutions of stride 2, a dense layer of 64 and one of ten, for 28x28 pixels.
        "project_cnn_28": 160 + 4_640 + 18_496 + (4 * 4 * 64 * 64 + 64) + 650,
        "inception_2015": 23_850_960,  # of 1008 outputs: seen through, never trained
    },
    curves=("loss",),
    x="images",
    method="trained",
)

Numbers = dict[str, float]
_KEPT = 256  # test images that a run keeps, to show what metrics say


class KeptImages:
    """An entry of `Experiment.assets`: a few test images, `[N, H, W, C]` uint8."""

    def __init__(self, experiment: SampleMetrics):
        self._experiment = experiment
        self._pixels: np.ndarray | None = None

    @property
    def pixels(self) -> np.ndarray:
        """From the run where it has kept them."""
        if self._pixels is None:
            test = self._experiment.images.test
            self._pixels = np.stack([test[i]["image"] for i in range(min(_KEPT, len(test)))])
        return self._pixels

    def to_files(self) -> Mapping[str, bytes]:
        file = io.BytesIO()
        np.save(file, self.pixels)
        return {"images.npy": file.getvalue()}

    def from_files(self, files: Mapping[str, bytes]) -> None:
        self._pixels = np.load(io.BytesIO(files["images.npy"]))


class SampleMetrics(ClassifierTraining):
    """Trains the project's feature network, and judges sets of images through it or another.

    Sets of «samples» are training images, whole, disturbed, or of some classes alone; data are test
    images. So it is known of each set what is wrong with it.
    """

    def __init__(self, config: ConfigDict):
        data = config.data
        super().__init__(
            lambda: self.images.train,
            data.name,
            data.num_classes,
            **config.classifier,
            image_shape=(data.image_size, data.image_size, data.channels),
            seed=config.seed,
        )
        self.config = config
        self.kept = KeptImages(self)
        self.assets = (self.kept,)

    @property
    def images(self) -> squares.HeldOut:
        """All images, opened on first use; UserError where a set is missing or too small."""
        data = self.config.data
        return _images(
            data.name,
            data.train_split,
            data.test_split,
            data.image_size,
            data.dir,
            self.config.eval.num_images,
        )

    def evaluate(self, state: LearnerState, key: jax.Array) -> Numbers:
        images, labels = _first(self.images.test, self.config.eval.num_images)
        found = self.network(state).probs(images).argmax(-1)
        return {"test/accuracy": 100 * float(np.mean(found == labels))}


@functools.lru_cache(maxsize=1)  # arms and seeds of a run see the same images
def _images(*args: Any) -> squares.HeldOut:
    return squares.load_held_out(*args)


@functools.lru_cache(maxsize=2)
def _first(images: squares.Squares, num: int) -> tuple[np.ndarray, np.ndarray]:
    """The first `num` images `[N, H, W, C]` in [-1, 1] and their labels `[N]`."""
    return images.images(num), images.labels()[:num]


class Study:
    """What metrics say of sets of images of which it is known what is wrong with them.

    Args:
      net: that features are seen through.
      distance: of images, for path lengths.
      images: training images, which sets are made of, and test images.
      config: of the run.
    """

    def __init__(
        self,
        net: FeatureNet,
        distance: PerceptualDistance,
        images: squares.HeldOut,
        config: ConfigDict,
    ):
        self.net, self.distance, self.images, self.config = net, distance, images, config
        self.rng = np.random.default_rng([config.seed, 1])
        self.num = config.eval.num_images
        self.real = images.test.images(self.num)
        self.real_features = net.features(self.real)
        self.train_labels = images.train.labels()

    def judge(self, fake: np.ndarray) -> Numbers:
        """Every metric of a set of images `[N, H, W, C]` against the test images."""
        options = self.config.eval
        features, probs = self.net.features(fake), self.net.probs(fake)
        precision, recall = manifold.precision_recall(self.real_features, features)
        density, coverage = manifold.density_coverage(self.real_features, features)
        kid = fid.kid(
            self.real_features,
            features,
            num_subsets=options.kid_subsets,
            subset_size=options.kid_subset_size,
        )
        return {
            "FID": fid.fid(self.real_features, features),
            "KID": kid[0],
            "IS": fid.inception_score(probs)[0],
            "precision": precision,
            "recall": recall,
            "density": density,
            "coverage": coverage,
        }

    def choose(self, classes: Sequence[int]) -> np.ndarray:
        """As many training images `[N, H, W, C]` as are judged, of some classes, equally many.

        Raises:
          UserError: a class has too few.
        """
        each = self.num // len(classes)
        rows = []
        for label in classes:
            of_class = np.flatnonzero(self.train_labels == label)
            if len(of_class) < each:
                raise UserError(
                    f"class {label} has {len(of_class)} training images, where {each} are judged; "
                    "lower eval.num_images, or drop fewer classes"
                )
            rows.append(self.rng.choice(of_class, each, replace=False))
        return self.images.train.choose(np.concatenate(rows)).images()

    def disturbed(self, workdir: Path) -> Numbers:
        """Appendix A1: metrics at every strength of every disturbance; leaves the figure."""
        whole = self.choose(range(self.config.data.num_classes))
        floor = self.judge(whole)
        numbers = {f"floor/{name}": value for name, value in floor.items()}
        strengths, found, examples = {}, {}, {}
        for name, disturb in DISTURBANCES.items():
            strengths[name] = [0.0, *self.config.strengths[name]]
            sets = [whole, *(disturb(whole, a, self.rng) for a in strengths[name][1:])]
            found[name] = [floor, *map(self.judge, sets[1:])]
            examples[name] = np.stack([images[0] for images in sets])
            for i, metrics in enumerate(found[name][1:], 1):
                numbers |= {f"{name}_{i}/{key}": value for key, value in metrics.items()}
            numbers |= rises(name, found[name])
        if jax.process_index() == 0:
            draw_disturbances(workdir / "disturbances.png", strengths, found, examples)
        return numbers

    def dropped_modes(self) -> Numbers:
        """Sets of ever fewer classes, and one of a single image of each class, repeated."""
        numbers: Numbers = {}
        for count in self.config.modes:
            judged = self.judge(self.choose(range(count)))
            judged["IS_over_classes"] = judged["IS"] / count
            numbers |= {f"modes_{count}/{key}": value for key, value in judged.items()}
        errors = [abs(numbers[f"modes_{k}/IS_over_classes"] - 1) for k in self.config.modes]
        numbers["modes/IS_error"] = max(errors)
        whole, half = (numbers[f"modes_{k}/FID"] for k in self.config.modes[:2])
        numbers["modes/FID_half_over_whole"] = half / whole
        classes = self.config.data.num_classes
        firsts = [np.flatnonzero(self.train_labels == label)[0] for label in range(classes)]
        repeated = self.images.train.choose(np.resize(firsts, self.num)).images()
        judged = self.judge(repeated)
        return numbers | {f"repeated/{key}": value for key, value in judged.items()}

    def bias(self, workdir: Path) -> Numbers:
        """Distances of two halves of the test images, which are 0 but for the number of images."""
        options = self.config.eval
        sizes = list(options.sizes)
        found: dict[str, list[list[float]]] = {"FID": [], "KID": []}
        for _ in range(options.repeats):
            order = self.rng.permutation(self.num)
            pairs = [(self.real_features[order[:n]], self.real_features[order[-n:]]) for n in sizes]
            found["FID"].append([fid.fid(*pair) for pair in pairs])
            found["KID"].append([fid.polynomial_mmd(*pair) for pair in pairs])
        means = {name: np.mean(values, axis=0) for name, values in found.items()}
        errors = {
            name: np.std(values, axis=0, ddof=1) / np.sqrt(options.repeats)
            for name, values in found.items()
        }
        limit = float(np.polyfit(1 / np.array(sizes), means["FID"], 1)[1])
        if jax.process_index() == 0:
            draw_bias(workdir / "bias.png", sizes, means, errors, limit)
        return {
            "halves/FID_least": float(means["FID"][-1]),
            "halves/FID_most": float(means["FID"][0]),
            "halves/FID_infinity_share": abs(limit) / float(means["FID"][-1]),
            "halves/KID_errors_from_0": float(np.max(np.abs(means["KID"]) / errors["KID"])),
        }

    def bent_latents(self) -> Numbers:
        """The same samples from straight and from bent latents; names carry their networks."""
        options = self.config.latents
        numbers: Numbers = {}
        keys = jax.random.split(jax.random.key(self.config.seed), 4)
        for name, turns in (("straight", 0.0), ("bent", options.turns)):
            sampler = LinearSampler(self.real, options.num_factors, turns)
            z = sampler.latents(keys[0], self.num)
            fake = sampler(z, keys[0])
            factors = np.asarray(sampler.factors(z))
            signs = 1 / (1 + np.exp(-factors[:, : options.num_attributes]))
            judged = fid.fid(self.real_features, self.net.features(fake))
            numbers[f"{name}/FID[{self.net.name}]"] = judged
            spread = perceptual.diversity(fake, self.distance)
            numbers[f"{name}/diversity[{self.distance.name}]"] = spread
            numbers[f"{name}/separability"] = linear_separability(np.asarray(z), signs)
            ends = [sampler.latents(key, options.num_paths) for key in keys[1:3]]
            numbers[f"{name}/PPL[{self.distance.name}]"] = path_length.perceptual_path_length(
                sampler, self.distance, (ends[0], ends[1]), keys[3], space="z"
            )
        return numbers


def rises(name: str, found: Sequence[Mapping[str, float]]) -> Numbers:
    """The least step of FID and KID from one strength to the next, over the last value.

    Args:
      name: of the disturbance.
      found: metrics at every strength, from none on.
    """
    steps = {}
    for metric in ("FID", "KID"):
        values = np.array([metrics[metric] for metrics in found])
        steps[f"{name}/{metric}_least_rise"] = float(np.diff(values).min() / values[-1])
    return steps


def known_answers(config: ConfigDict) -> Numbers:
    """Distances of Gaussians whose Frechet distance is known, and how far from it they are.

    Of N(0, S) and N(0, 4 S), any S, it is tr(S + 4 S - 2 (4 S^2)^(1/2)) = tr S.
    """
    options = config.gaussians
    rng = np.random.default_rng([config.seed, 2])
    mixing = rng.normal(size=(options.dim, options.dim)) / np.sqrt(options.dim)
    truth = float(np.trace(mixing @ mixing.T))
    x, y = (rng.normal(size=(options.num_samples, options.dim)) @ mixing.T for _ in range(2))
    limit = fid.fid_infinity(x, 2 * y, smallest=options.smallest)
    few = fid.fid(x[: options.smallest], 2 * y[: options.smallest])
    return {
        "gaussians/few": few / truth - 1,
        "gaussians/all": fid.fid(x, 2 * y) / truth - 1,
        "gaussians/infinity_error": abs(limit / truth - 1),
    }


def main(experiment: SampleMetrics, config: ConfigDict, workdir: Path) -> Numbers:
    check_network(config.eval.network, config.data.dir)
    state, numbers = training.run(experiment, config, workdir)
    project_net = experiment.network(state)
    net: FeatureNet = project_net
    if config.eval.network != "project_cnn":
        net = released_network(config.eval.network, config.data.dir)
    if jax.process_index() == 0:
        about = {"network": net.name, "weights_sha256": net.weights_sha256}
        (workdir / "network.json").write_text(json.dumps(about, indent=1), encoding="utf-8")
    distance = project_net.perceptual_distance()
    study = Study(net, distance, experiment.images, config)
    judged = study.disturbed(workdir) | study.dropped_modes() | study.bias(workdir)
    # Each seed has a network of its own: the name is the same for all, hashes are in network.json.
    named = {f"{name}[{net.name}]": value for name, value in judged.items()}
    return {**numbers, **named, **study.bent_latents(), **known_answers(config)}


def demo(experiment: SampleMetrics, state: LearnerState) -> Demo:
    """Disturbs images that the run has kept, and says what metrics make of it."""
    net = experiment.network(state)

    def run(what: str, strength: float) -> Mapping[str, Any]:
        real = experiment.kept.pixels / np.float32(127.5) - 1
        if what not in DISTURBANCES:
            raise UserError(f"what is done is one of {', '.join(DISTURBANCES)}, not {what!r}")
        fake = DISTURBANCES[what](real, strength, np.random.default_rng(0)).astype(np.float32)
        precision, recall = manifold.precision_recall(net.features(real), net.features(fake))
        numbers = {
            "FID": fid.fid(net.features(real), net.features(fake)),
            "Inception score": fid.inception_score(net.probs(fake), num_splits=1)[0],
            "precision": precision,
            "recall": recall,
        }
        lines = [f"{name} by {net.name}: {value:.3g}" for name, value in numbers.items()]
        picture = grid(np.concatenate([real[:8], fake[:8]]), 2)
        picture = picture.repeat(3, 0).repeat(3, 1)
        picture = picture[..., 0] if picture.shape[-1] == 1 else picture
        return {"picture": picture, "numbers": "\n".join(lines)}

    return Demo(
        title="What do sample metrics see?",
        says="Test images, and the same images disturbed: what the Frechet distance, the Inception "
        "score, precision and recall say of them. The features are those of the project's network, "
        "so that no number is comparable with a published one.",
        inputs={
            "what": Choice("what is done to the images", list(DISTURBANCES), "noise"),
            "strength": Number(
                "how much of it; of a blur, the kernel's deviation", 0.5, 0, 1, 0.05
            ),
        },
        outputs={
            "picture": Image("above as they are, below disturbed"),
            "numbers": Text("what metrics say of all of them", lines=4),
        },
        run=run,
        examples=[{"what": what} for what in DISTURBANCES],
    )


def claims(results: Results) -> list[Claim]:
    """Rows of the trained network; the untrained one stands beside it where it is run."""
    if "trained" not in results.arms:
        return []
    return [
        *disturbance_claims(results),
        *mode_claims(results),
        *bias_claims(results),
        *latent_claims(results),
    ]


def beside(results: Results, **names: str) -> Scores:
    """Several metrics of the trained network, label -> name without its network."""
    return Scores("", {label: results.named(name)["trained"] for label, name in names.items()})


def disturbance_claims(results: Results) -> list[Claim]:
    """Figure 3 and appendix A1; quality and variety (Kynkaanniemi et al.)."""
    rows = [
        results.named(f"{name}/{metric}_least_rise").at_least(
            "trained",
            0.001,
            claim=f"{name.replace('_', ' ')}: least rise of {metric} from one strength to the "
            "next, over its last value",
            paper="it rises with the disturbance (figure 3)",
            digits=4,
        )
        for name in DISTURBANCES
        for metric in ("FID", "KID")
    ]
    return [
        *rows,
        beside(results, weakest_noise="noise_1/FID", none="floor/FID").ratio(
            "weakest_noise",
            "none",
            2.5,
            claim="FID of the weakest noise against that of no disturbance",
            paper="",
        ),
        beside(results, precision="blur_2/precision", recall="blur_2/recall").above(
            "precision",
            "recall",
            by=0.2,
            claim="blurred images are each as data is, and show little of it",
            paper="precision is quality, recall variety (Kynkaanniemi et al.)",
        ),
        beside(results, recall="patch_2/recall", precision="patch_2/precision").above(
            "recall",
            "precision",
            by=0.2,
            claim="images with a hole are not as data is, and show all of it",
            paper="",
        ),
    ]


def mode_claims(results: Results) -> list[Claim]:
    """What is missing, and what is only repeated."""
    rows = []
    if "untrained" in results.arms:
        rows.append(
            results.named("modes/FID_half_over_whole").ratio(
                "trained",
                "untrained",
                2.0,
                claim="FID of five classes of ten over that of all: by a trained network",
                paper="",
            )
        )
    return [
        *rows,
        results.named("modes/IS_error").at_most(
            "trained",
            0.12,
            claim="Inception score of K classes of data over K, from 1, the worst K",
            paper="the score is the number of classes that are told apart",
        ),
        results.named("modes_1/recall").at_most(
            "trained", 0.2, claim="one class of ten: recall", paper="it falls as modes are dropped"
        ),
        results.named("modes_1/coverage").at_most(
            "trained", 0.2, claim="one class of ten: coverage", paper="(Naeem et al.)"
        ),
        results.named("modes_1/precision").at_least(
            "trained", 0.75, claim="one class of ten: precision", paper="it does not fall"
        ),
        results.named("modes_1/density").at_least(
            "trained", 0.75, claim="one class of ten: density", paper="(Naeem et al.)"
        ),
        beside(results, repeated="repeated/IS", data="floor/IS").ratio(
            "repeated",
            "data",
            0.9,
            claim="ten images, each shown again and again: Inception score as of data",
            paper="FID notices more than the Inception score (figure 3)",
        ),
        beside(results, repeated="repeated/FID", data="floor/FID").ratio(
            "repeated", "data", 10.0, claim="the same ten images: FID", paper=""
        ),
        results.named("repeated/recall").at_most(
            "trained", 0.05, claim="the same ten images: recall", paper=""
        ),
    ]


def bias_claims(results: Results) -> list[Claim]:
    """Distances of two parts of one set, and of Gaussians whose distance is known."""
    halves = beside(results, few="halves/FID_most", many="halves/FID_least")
    return [
        halves.ratio(
            "few",
            "many",
            5.0,
            claim="FID of two parts of one set: of the smallest parts against the largest",
            paper="its bias falls as 1/N (Chong and Forsyth)",
        ),
        results.named("halves/FID_infinity_share").at_most(
            "trained",
            0.15,
            claim="the same for ever larger parts, from 0, over that of the largest",
            paper="0 (Chong and Forsyth)",
        ),
        results.named("halves/KID_errors_from_0").at_most(
            "trained",
            4.0,
            claim="KID of two parts of one set, from 0, in standard errors, the worst size",
            paper="0: it has no bias (Binkowski et al.)",
        ),
        results.side_by_side(
            "trained", few="gaussians/few", infinity="gaussians/infinity_error"
        ).above(
            "few",
            "infinity",
            by=0.04,
            claim="Gaussians: relative error of FID of 200 samples above that for ever more",
            paper="(Chong and Forsyth)",
            digits=3,
        ),
        results["gaussians/infinity_error"].at_most(
            "trained",
            0.05,
            claim="Gaussians: relative error of FID for ever more samples",
            paper="0: their distance is known in closed form",
            digits=3,
        ),
    ]


def latent_claims(results: Results) -> list[Claim]:
    """Two samplers with the same samples (Karras et al., section 4)."""
    separability = results.side_by_side(
        "trained", bent="bent/separability", straight="straight/separability"
    )
    distances = beside(results, straight="straight/FID", bent="bent/FID")
    return [
        distances.ratio(
            "straight",
            "bent",
            0.9,
            claim="the same samples of straight and of bent latents: FID cannot tell",
            paper="",
        ),
        # Added after the run: a seed's network has a scale of its own.
        distances.ratio(
            "straight",
            "bent",
            0.9,
            claim="the same by each seed's own network",
            paper="",
            rule="seed by seed",
            pairs="one network, one draw of latents",
        ),
        beside(results, bent="bent/PPL", straight="straight/PPL").ratio(
            "bent",
            "straight",
            5.0,
            claim="perceptual path length tells",
            paper="it is shorter where latents are less entangled (Karras et al., 4.1)",
        ),
        separability.ratio(
            "bent",
            "straight",
            2.0,
            claim="linear separability tells",
            paper="it is lower where latents are less entangled (Karras et al., 4.2)",
        ),
    ]


if __name__ == "__main__":
    app.run()
