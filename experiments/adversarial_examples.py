"""Explaining and Harnessing Adversarial Examples (Goodfellow, Shlens, Szegedy, 2014),
arXiv:1412.6572; with it Towards Deep Learning Models Resistant to Adversarial Attacks (Madry,
Makelov, Schmidt, Tsipras, Vladu, 2017), arXiv:1706.06083.

Claim: a small step along the sign of the gradient, which linear behaviour suffices to explain,
makes a classifier wrong with confidence where noise of the same size does not; training on such
inputs takes the effect of that step away, but not that of many steps, against which one has to
train on those.

Departures: attacks are made in evaluation mode, without dropout and with running batch statistics,
in training too (the code of Madry et al. attacks in training mode there; Goodfellow et al. do not
say). Epochs of `:paper` are not stated in the paper and are those in which the momentum rises; it
keeps the best weights by the adversarial error on held-out images, and does not train again on all
images. The convolutional maxout network of CIFAR-10, preprocessed, is left out.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
import optax
from ml_collections import ConfigDict

from research import app, training
from research.core import Aux, Experiment, Learner, LearnerState, UserError
from research.core.errors import check_choice
from research.core.tree import path_name
from research.data.dataset import Lazy
from research.data.images.images import Images, ImageSplits
from research.data.images.kept import KeptImages
from research.data.pipeline import steps_of
from research.losses import attacks
from research.losses.softmax import top1_error
from research.models.dense_classifier import (
    DenseClassifier,
    RadialBasisClassifier,
    radial_losses,
)
from research.models.madry import ConvNet, WideResNet
from research.optim.max_norm import limit_norms
from research.optim.momentum import dropping, maxout_sgd
from research.papers.adversarial_examples import figures, judging
from research.papers.adversarial_examples.some_classes import SomeClasses
from research.report.claims import Claim, Paper, Results
from research.report.demo import Choice, Demo, Image, Number, Probabilities

PAPER = Paper(
    title="Explaining and Harnessing Adversarial Examples",
    authors="Ian J. Goodfellow, Jonathon Shlens, Christian Szegedy",
    year=2014,
    arxiv="1412.6572",
    field="images",
    method="fgsm_trained",
    claim="A small step along the sign of the gradient misleads a classifier; training on such "
    "inputs takes that away, but only training on many steps withstands many.",
    parameters={
        # Two hidden layers of maxout units of five pieces, and a softmax.
        "maxout_240": (784 + 1) * 1200 + (240 + 1) * 1200 + (240 + 1) * 10,
        "maxout_1600": (784 + 1) * 8000 + (1600 + 1) * 8000 + (1600 + 1) * 10,
        "madry_mnist": 3_274_634,
        "madry_cifar10": 45_901_914,
    },
    curves=("loss", "error"),
    x="images",
)

NETWORKS = ("dense", "radial", "conv", "wide_resnet")
PERTURBATIONS = (*("none", "fgsm", "least_likely", "pgd", "random_sign", "uniform", "hidden_fgsm"),)
ATTACKS = ("fgsm", "least_likely", "pgd", "random_sign")  # that a demo offers
BOX = (0.0, 1.0)  # of pixels


class State(flax.struct.PyTreeNode):
    """What a step changes.

    Attributes:
      learner: the network and its optimizer.
      sources: `[M, ...]`, networks of other first weights, trained on the images as they are, that
        attacks are transferred from; None for none.
    """

    learner: LearnerState
    sources: Any = None


class AdversarialExamples(Experiment):
    """A classifier of images, trained on them as they are or perturbed, and attacked."""

    def __init__(self, config: ConfigDict):
        self.config = config
        data = config.data
        check_choice("train.perturbation", config.train.perturbation, PERTURBATIONS)
        splits = SomeClasses(ImageSplits(data.name, data.image_size, data.dir), data.classes)
        images = functools.partial(
            Images,
            splits,
            data.image_size,
            data.channels,
            augmentation=data.augmentation,
            train_split=data.train_split,
            num_train=data.num_train,
            num_classes=data.num_classes,
        )
        self.images = images(test_split=data.test_split)
        self.held_out = images(test_split=data.held_out_split) if data.held_out_split else None
        self.kept = KeptImages(self.images, data.num_classes)
        self.assets = (self.kept,)
        self.epoch_steps = steps_of(1, data.num_train, config.batch_size, "down")
        self.num_steps = config.num_epochs * self.epoch_steps
        self.network = self.build_network()
        self.losses = radial_losses if config.model.kind == "radial" else attacks.cross_entropies
        self.learner = Learner(
            self.network, self.build_optimizer(), max_grad_norm=config.max_grad_norm
        )
        self.source = self.images.stream(config.batch_size, config.seed)
        self.per_step = {"images": config.batch_size}
        self.judge_rows = jax.jit(self.judge)
        self.predict = jax.jit(self.logits)
        self.look = jax.jit(self.along)

    def build_network(self) -> Any:
        model, data = self.config.model, self.config.data
        check_choice("model.kind", model.kind, NETWORKS)
        if self.config.train.perturbation == "hidden_fgsm" and not model.widths:
            raise UserError("train.perturbation=hidden_fgsm needs a dense network's model.widths")
        dtype = jnp.dtype(self.config.compute_dtype)
        if model.kind == "radial":
            return RadialBasisClassifier(data.num_classes, precision=1 / data.image_size**2)
        if model.kind == "conv":
            return ConvNet(data.num_classes, model.widths[:-1], model.widths[-1], dtype)
        if model.kind == "wide_resnet":
            return WideResNet(data.num_classes, model.blocks, model.widths, dtype)
        return DenseClassifier(
            data.num_classes,
            model.widths,
            model.units,
            model.pieces,
            model.dropout,
            model.input_dropout,
            model.input_dropout_scale,
            model.uniform_init,
            dtype,
        )

    def build_optimizer(self) -> optax.GradientTransformation:
        """Adam; the released maxout networks' SGD; or Madry et al.'s momentum for CIFAR-10."""
        o = self.config.optimizer
        check_choice("optimizer.name", o.name, ("adam", "maxout_sgd", "momentum"))
        rate = dropping(o.learning_rate, self.num_steps, o.drops_at, o.drop_factor)
        if o.name == "adam":
            return optax.chain(optax.adam(rate), limit_norms(o.max_squared_norm))
        if o.name == "maxout_sgd":
            tx = maxout_sgd(
                o.learning_rate,
                epoch_steps=self.epoch_steps,
                momentum_epochs=o.momentum_epochs,
            )
            return optax.chain(tx, limit_norms(o.max_squared_norm))
        decay = optax.add_decayed_weights(o.weight_decay, mask=_kernels)
        return optax.chain(decay, optax.sgd(rate, o.momentum))

    # The objective.

    def init(self, key: jax.Array) -> State:
        images = jnp.zeros((1, *self.images.shape))
        own, *others = jax.random.split(key, 1 + self.config.sources)
        sources = None
        if others:
            sources = jax.vmap(lambda key: self.learner.init(key, images))(jnp.stack(others))
        return State(self.learner.init(own, images), sources)

    def pixels(self, images: jax.Array) -> jax.Array:
        """Images `[B, S, S, C]` of the data with pixels in 0 to 1, which epsilon is in units of."""
        return jnp.clip(images * self.config.data.scale, *BOX)

    def logits(self, variables: Any, x: jax.Array, **options: Any) -> jax.Array:
        """Logits `[B, K]` of pixels `[B, S, S, C]`, in evaluation mode."""
        return self.learner.apply(variables, x, train=False, **options)[0]

    def train_logits(
        self, variables: Any, x: jax.Array, key: jax.Array, **options: Any
    ) -> tuple[jax.Array, Any]:
        """Logits in training, with dropout and batch statistics; updated collections."""
        mutable = [name for name in variables if name != "params"]
        forward: Any = self.learner.apply
        (logits, _), updated = forward(
            variables, x, train=True, rngs={"dropout": key}, mutable=mutable, **options
        )
        return logits, updated

    def perturbed(self, variables: Any, x: jax.Array, y: jax.Array, key: jax.Array) -> jax.Array:
        """x' of this step's weights; a constant of the loss, which no gradient flows into."""
        train, model = self.config.train, functools.partial(self.logits, variables)
        epsilon, box = train.epsilon, BOX if train.clip else None
        match train.perturbation:
            case "fgsm":
                # eta = epsilon sign(grad_x J(theta, x, y)), section 4.
                return attacks.fgsm(model, x, y, epsilon, box=box, losses=self.losses)
            case "least_likely":
                return attacks.least_likely(model, x, epsilon, box=box, losses=self.losses)
            case "pgd":
                return attacks.pgd(
                    model,
                    x,
                    y,
                    epsilon,
                    step_size=train.step_size,
                    num_steps=train.attack_steps,
                    starts=attacks.random_starts(key, x, epsilon, 1, box),
                    box=box,
                    losses=self.losses,
                )
            case "random_sign":
                return attacks.random_signs(key, x, epsilon, box)
            case _:
                return attacks.uniform_noise(key, x, epsilon, box)

    def hidden_logits(
        self, variables: Any, x: jax.Array, y: jax.Array, key: jax.Array
    ) -> tuple[jax.Array, Any]:
        """Logits with the last hidden layer perturbed by the sign of its gradient (section 6)."""
        last = len(self.config.model.widths)
        layer_key, key = jax.random.split(key)
        h = self.learner.apply(variables, x, train=False)[1]["hidden"][-1]
        rest = functools.partial(self.logits, variables, start=last)
        eta = attacks.fgsm(rest, h, y, self.config.train.epsilon, losses=self.losses) - h
        rngs = {"dropout": layer_key}
        h = self.learner.apply(variables, x, train=True, rngs=rngs)[1]["hidden"][-1]
        return self.train_logits(variables, h + jax.lax.stop_gradient(eta), key, start=last)

    def plain_loss(self, variables: Any, batch: Any, key: jax.Array) -> tuple[jax.Array, Aux]:
        """J(theta, x, y) of a batch: "image" `[B, S, S, C]`, "label" `[B]` int32."""
        x, y = self.pixels(batch["image"]), batch["label"]
        logits, updated = self.train_logits(variables, x, key)
        return self.losses(logits, y).mean(), Aux({"error": top1_error(logits, y)}, updated)

    def loss(self, variables: Any, batch: Any, key: jax.Array) -> tuple[jax.Array, Aux]:
        """J~(x) = alpha J(x) + (1 - alpha) J(x'), section 6; alpha = 0 is Madry et al.'s min-max.

        Both have dropout masks of their own. x' is computed anew in every step.
        """
        train = self.config.train
        if train.perturbation == "none":
            return self.plain_loss(variables, batch, key)
        plain_key, attack_key, key = jax.random.split(key, 3)
        x, y = self.pixels(batch["image"]), batch["label"]
        if train.perturbation == "hidden_fgsm":
            logits, updated = self.hidden_logits(variables, x, y, key)
        else:
            x_perturbed = self.perturbed(variables, x, y, attack_key)
            logits, updated = self.train_logits(variables, x_perturbed, key)
        loss = self.losses(logits, y).mean()
        metrics = {"perturbed_loss": loss, "perturbed_error": top1_error(logits, y)}
        if not train.alpha:
            return loss, Aux({"error": metrics["perturbed_error"], **metrics}, updated)
        plain, aux = self.plain_loss(variables, batch, plain_key)
        loss = train.alpha * plain + (1 - train.alpha) * loss
        return loss, Aux({**aux.metrics, **metrics}, updated)

    def step(
        self, state: State, batch: Any, t: jax.Array, key: jax.Array
    ) -> tuple[State, dict[str, jax.Array]]:
        own, *others = jax.random.split(key, 1 + self.config.sources)
        learner, metrics = self.learner.minimize(state.learner, self.loss, batch, own)
        sources = state.sources
        if others:
            minimize = functools.partial(self.learner.minimize, loss_fn=self.plain_loss)
            sources, numbers = jax.vmap(lambda s, key: minimize(s, batch=batch, key=key))(
                sources, jnp.stack(others)
            )
            metrics["source_loss"] = numbers["loss"].mean()
        return State(learner, sources), metrics

    # What is measured.

    def variables(self, state: State) -> dict[str, Any]:
        """What attacks need of a state: "model", and "sources" `[M, ...]` where there are some."""
        variables = {"model": self.learner.eval_variables(state.learner)}
        if state.sources is not None:
            variables["sources"] = self.learner.eval_variables(state.sources)
        return variables

    def rows(self, images: Images) -> Lazy:
        """Test images for `training.map_batches`, with a number for the random parts of attacks."""

        def read(i: int) -> dict[str, Any]:
            record = images.test[i]
            label = np.int32(record["label"])
            return {"image": images.plain(record), "label": label, "row": np.int32(i)}

        return Lazy(range(len(images.test)), read)

    def evaluate(self, state: State, key: jax.Array) -> dict[str, float]:
        numbers = self.judged(state, self.images)
        if self.held_out is not None:
            held_out = self.judged(state, self.held_out)
            numbers["held_out/error"] = held_out["test/error"]
            numbers["held_out/fgsm_error"] = held_out["fgsm/error"]
        shape = (self.config.eval.rubbish_images, *self.images.shape)
        rubbish = self.predict(
            self.variables(state)["model"], jax.random.normal(jax.random.key(0), shape)
        )
        sure = np.asarray(self.confidence(rubbish)) > 0.5
        return {**numbers, "rubbish/error": 100.0 * float(sure.mean())}

    def judged(self, state: State, images: Images) -> dict[str, float]:
        """Errors and losses of all test images under every attack."""
        found, labels = training.map_batches(
            self.judge_rows,
            self.variables(state),
            self.rows(images),
            self.config.eval.batch_size,
        )
        numbers = judging.errors({name: value[:2] for name, value in found.items()}, labels)
        for name in ("test", "fgsm_clipped", "pgd"):
            numbers[f"{name}/loss"] = float(found[name][2].mean())
        if state.sources is not None:
            own, other = found["fgsm"][0], found["transfer_back"][0]
            numbers["transfer_back/agreement"] = judging.agreement(own, other, labels)
        return numbers

    def confidence(self, logits: jax.Array) -> jax.Array:
        """The probability of the likeliest class, `[B]`."""
        if self.config.model.kind == "radial":
            return jnp.exp(logits).max(-1)
        return jax.nn.softmax(logits).max(-1)

    def judge(self, variables: Any, rows: Any) -> tuple[dict[str, Any], jax.Array]:
        """What is said of rows under each attack: class, confidence and loss `[B]`; labels."""
        x, y = self.pixels(rows["image"]), rows["label"]
        keys = jax.vmap(functools.partial(jax.random.fold_in, jax.random.key(0)))(rows["row"])
        model = functools.partial(self.logits, variables["model"])
        said = {name: model(z) for name, z in self.attacked(model, x, y, keys).items()}
        if "sources" in variables:
            said |= self.transferred(model, variables["sources"], x, y, keys)
        judged = {
            name: (logits.argmax(-1), self.confidence(logits), self.losses(logits, y))
            for name, logits in said.items()
        }
        return judged, y

    def attacked(
        self, model: attacks.Logits, x: jax.Array, y: jax.Array, keys: jax.Array
    ) -> dict[str, jax.Array]:
        """Every attack on a model: name -> inputs `[B, S, S, C]`; "test" are those of no attack."""
        epsilon = self.config.eval.epsilon
        fgsm = functools.partial(attacks.fgsm, model, x, y, epsilon, losses=self.losses)
        return {
            "test": x,
            "random_sign": jax.vmap(lambda key, x: attacks.random_signs(key, x, epsilon))(keys, x),
            "fgsm": fgsm(),
            "fgsm_clipped": fgsm(box=BOX),
            "least_likely": attacks.least_likely(model, x, epsilon, box=BOX, losses=self.losses),
            "pgd": self.pgd(model, x, y, keys, self.losses),
            "pgd_margin": self.pgd(model, x, y, keys, attacks.margins),
        }

    def pgd(
        self,
        model: attacks.Logits,
        x: jax.Array,
        y: jax.Array,
        keys: jax.Array,
        losses: attacks.Losses,
    ) -> jax.Array:
        """PGD of many steps from several random starts."""
        e = self.config.eval
        starts = jax.vmap(
            lambda key, x: attacks.random_starts(key, x, e.epsilon, e.restarts, BOX), out_axes=1
        )(keys, x)
        return attacks.pgd(
            model,
            x,
            y,
            e.epsilon,
            step_size=e.step_size,
            num_steps=e.attack_steps,
            starts=starts,
            box=BOX,
            losses=losses,
        )

    def transferred(
        self, model: attacks.Logits, sources: Any, x: jax.Array, y: jax.Array, keys: jax.Array
    ) -> dict[str, jax.Array]:
        """Logits of the model under attacks on a source, and of a source under one on the model."""
        source = functools.partial(self.logits, jax.tree.map(lambda v: v[0], sources))

        def ensemble(x: jax.Array) -> jax.Array:
            """Logarithms of the mean probabilities of all sources."""
            each = jax.vmap(lambda variables: jax.nn.log_softmax(self.logits(variables, x)))
            logs = each(sources)
            return jax.nn.logsumexp(logs, axis=0) - jnp.log(len(logs))

        epsilon = self.config.eval.epsilon
        fgsm = functools.partial(attacks.fgsm, x=x, labels=y, epsilon=epsilon, losses=self.losses)
        on_source = fgsm(source)
        said = {
            "transfer": model(on_source),
            "transfer_pgd": model(self.pgd(source, x, y, keys, self.losses)),
            "transfer_back": source(fgsm(model)),
            "source": source(x),
            "source_fgsm": source(on_source),
        }
        if self.config.sources > 1:
            said["ensemble"] = ensemble(x)
            said["ensemble_fgsm"] = ensemble(fgsm(ensemble))
            said["ensemble_transfer"] = ensemble(on_source)
        return said

    def along(
        self, variables: Any, x: jax.Array, directions: jax.Array, epsilons: jax.Array
    ) -> jax.Array:
        """Logits `[E, N, K]` of x + epsilon direction for each of epsilons `[E]`."""
        return jax.lax.map(lambda e: self.logits(variables, x + e * directions), epsilons)


def _kernels(params: Any) -> Any:
    """Mask of `optax.add_decayed_weights`: the arrays that are convolved or multiplied by."""
    return jax.tree_util.tree_map_with_path(
        lambda path, _: path_name(path).endswith("kernel"), params
    )


def main(experiment: AdversarialExamples, config: ConfigDict, workdir: Path) -> dict[str, float]:
    """Trains, then looks along the attack's direction: figures 1, 3 and 4."""
    state, numbers = training.run(experiment, config, workdir)
    variables = experiment.variables(state)["model"]
    rows = experiment.rows(experiment.images)
    taken = [rows[i] for i in range(min(config.eval.sweep_images, len(rows)))]
    x = experiment.pixels(np.stack([row["image"] for row in taken]))
    y = np.stack([row["label"] for row in taken])
    model = functools.partial(experiment.logits, variables)
    signs = jnp.sign(attacks.input_gradient(model, x, y, experiment.losses))
    epsilons = np.linspace(-config.eval.sweep, config.eval.sweep, 41)
    logits = np.asarray(experiment.look(variables, x, signs, epsilons))
    shares = judging.linearity(epsilons, logits)
    if jax.process_index() == 0:
        noise = jax.random.rademacher(jax.random.key(0), x.shape, x.dtype)
        along_noise = np.asarray(experiment.look(variables, x, noise, epsilons))
        draw_figures(experiment, workdir, (x, y, signs), epsilons, logits, along_noise)
    return {**numbers, "linearity/r2": float(np.median(shares))}


def draw_figures(
    experiment: AdversarialExamples,
    workdir: Path,
    inputs: tuple[jax.Array, np.ndarray, jax.Array],
    epsilons: np.ndarray,
    logits: np.ndarray,
    along_noise: np.ndarray,
) -> None:
    """Leaves `sweep.png` and `attacks.png` in a run's folder.

    Args:
      experiment: what was trained.
      workdir: of the run.
      inputs: x `[N, S, S, C]`, labels and signs of the gradient.
      epsilons: `[E]`.
      logits, along_noise: `[E, N, K]`, along the signs and along random ones.
    """
    x, y, signs = inputs
    names = experiment.kept.class_names
    found = {"sign of the gradient": logits, "random signs": along_noise}
    errors = {name: 100 * np.mean(z.argmax(-1) != y, axis=1) for name, z in found.items()}
    figures.draw_sweep(workdir / "sweep.png", epsilons, logits[:, 0], names, int(y[0]), errors)

    # The least of the steps shown at which the first images are taken for something else.
    epsilon = experiment.config.eval.epsilon
    at = [int(np.argmin(np.abs(epsilons - e))) for e in (0.0, epsilon)]
    shown = range(min(3, len(x)))

    def said(step: int, i: int) -> figures.Said:
        k = int(logits[step, i].argmax())
        probability = float(experiment.confidence(logits[step, i : i + 1])[0])
        image = np.asarray(x[i] + epsilons[step] * signs[i])
        return figures.Said(image, names[k], probability)

    figures.draw_attacks(
        workdir / "attacks.png",
        [said(at[0], i) for i in shown],
        [np.asarray(signs[i]) for i in shown],
        [said(at[1], i) for i in shown],
        float(epsilons[at[1]]),
    )


def demo(experiment: AdversarialExamples, state: State) -> Demo:
    """Perturbs an image, and shows what the network says before and after."""
    kept, e = experiment.kept, experiment.config.eval
    names, variables = list(kept.class_names), experiment.variables(state)["model"]
    model = functools.partial(experiment.logits, variables)
    as_it_says = "as the network says"

    def shares(x: jax.Array) -> dict[str, float]:
        logits = model(x)
        radial = experiment.config.model.kind == "radial"
        shares = np.asarray((jnp.exp(logits) if radial else jax.nn.softmax(logits))[0], np.float64)
        return {names[k]: float(shares[k]) for k in np.argsort(-shares, kind="stable")[:5]}

    def run(picture: np.ndarray, epsilon: float, attack: str, shows: str) -> dict[str, Any]:
        if min(picture.shape[:2]) < 2:
            raise UserError("a picture of less than 2 x 2 pixels shows nothing")
        x = experiment.pixels(experiment.images.plain(kept.record(picture))[None])
        y = model(x).argmax(-1) if shows == as_it_says else jnp.array([names.index(shows)])
        options = {"box": BOX, "losses": experiment.losses}
        if attack == "fgsm":
            moved = attacks.fgsm(model, x, y, epsilon, **options)
        elif attack == "least_likely":
            moved = attacks.least_likely(model, x, epsilon, **options)
        elif attack == "pgd":
            steps = {"step_size": epsilon / 4, "num_steps": e.attack_steps}
            moved = attacks.pgd(model, x, y, epsilon, **steps, **options)
        else:
            moved = attacks.random_signs(jax.random.key(0), x, epsilon, BOX)
        direction = np.asarray(moved - x)[0] / max(epsilon, 1e-9)
        return {
            "perturbed": _enlarged(figures.grey_pixels(np.asarray(moved[0]))),
            "signs": _enlarged(figures.grey_signs(np.clip(direction, -1, 1))),
            "before": shares(x),
            "after": shares(moved),
        }

    return Demo(
        title="Mislead a classifier",
        says="Every pixel of a picture moves by epsilon at most, where black is 0 and white is 1. "
        "Along the sign of the gradient that is enough to change what the network says; in random "
        "directions it is not.",
        inputs={
            "picture": Image("a picture", kept.examples[0].picture),
            "epsilon": Number("epsilon, the change of a pixel", e.epsilon, 0, 1, 0.01),
            "attack": Choice("how pixels move", ATTACKS, "fgsm"),
            "shows": Choice("what the picture shows", (as_it_says, *names), as_it_says),
        },
        outputs={
            "perturbed": Image("the perturbed picture"),
            "signs": Image("how pixels moved: white up, black down"),
            "before": Probabilities("the likeliest classes before"),
            "after": Probabilities("the likeliest classes after"),
        },
        run=run,
        examples=[{"attack": attack} for attack in ATTACKS],
    )


def _enlarged(picture: np.ndarray) -> np.ndarray:
    """A picture `[S, S, C]` of 128 pixels or more: `[S', S']` where it is grey."""
    times = max(1, -(-128 // len(picture)))
    picture = picture.repeat(times, 0).repeat(times, 1)
    return picture[..., 0] if picture.shape[-1] == 1 else picture


def claims(results: Results) -> list[Claim]:
    return []


if __name__ == "__main__":
    app.run()
