"""Domain Randomization for Transferring Deep Neural Networks from Simulation to the Real World
(Tobin, Fong, Ray, Schneider, Zaremba, Abbeel, 2017), arXiv:1703.06907.

Claim: a detector trained on images of random looks alone finds an object's position in images of a
look that it has never seen; one trained on a single look does not.

What a robot knows of its blocks in `one_shot_imitation` can come from such a detector. Departures:
the images that it is tested on are no photographs, but of another renderer (`unseen_look`); weights
begin at random, as in the paper's own comparison, and not from ImageNet; no robot is seen.
"""

from __future__ import annotations

import research.early  # answers --help at once

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
import optax
from ml_collections import ConfigDict

from research import app, training
from research.core import Aux, Experiment, Learner, LearnerState, UserError
from research.core.errors import check_choice
from research.core.partition import BATCH, constrain
from research.data.images import augment
from research.models.vgg import VGG
from research.papers.domain_randomization import unseen_look
from research.papers.domain_randomization.polyhedra import SHAPES
from research.papers.domain_randomization.position_plots import mark_positions, save_positions
from research.papers.domain_randomization.random_look import RandomLook
from research.papers.domain_randomization.tabletop import Scene, Tabletop, project
from research.report.claims import Claim, Paper, Results, spread
from research.report.demo import Choice, Demo, Image, Number, Text

PAPER = Paper(
    title="Domain Randomization for Transferring Deep Neural Networks to the Real World",
    authors="Tobin et al.",
    year=2017,
    arxiv="1703.06907",
    field="reinforcement learning",
    claim="Trained on random looks, a detector of positions transfers to a look never seen.",
    # Derived: VGG-16's convolutions, 7 * 7 * 512 to 256 to 64 to 3.
    parameters={"vgg16": 21_154_115},
    curves=("unseen/error_cm", "trained/error_cm", "loss"),
    method="randomized",
)

LOOKS = ("trained", "unseen")
MARGIN = 2.0  # how much nearer random textures lead than one


class State(flax.struct.PyTreeNode):
    """What is trained, and on what.

    Attributes:
      detector: learns to find the object.
      domain: uint32, the seed of the textures that there are, and of the training samples.
    """

    detector: LearnerState
    domain: jax.Array


class Detections(NamedTuple):
    """What a detector says of N scenes.

    Attributes:
      images: uint8 `[N, S, S, 3]`.
      found, true: positions `[N, 3]` in metres.
      found_pixel, true_pixel: the same in the images, (row, column) `[N, 2]`.
    """

    images: Any
    found: Any
    true: Any
    found_pixel: Any
    true_pixel: Any


class DomainRandomization(Experiment):
    """Regression from an image of a random look to the object's position (section III)."""

    def __init__(self, config: ConfigDict):
        self.config = config
        self.size = config.data.image_size
        self.learner = self.make_learner()
        random = config.randomization
        self.look = RandomLook(random.textures, random.noise)
        self.scenes = self.make_scenes(camera=random.camera, distractors=random.distractors)
        # The unseen look has the same scenes for all arms: from random places, others on the table.
        self.unseen_scenes = self.make_scenes(camera=True, distractors=config.eval.distractors)
        self._detect = {look: jax.jit(functools.partial(self.detect, look)) for look in LOOKS}

        self.num_steps = config.num_steps
        self.per_step = {"images": config.batch_size}
        self.micro_batches = config.accumulate_steps

    def make_learner(self) -> Learner:
        config = self.config
        stages = tuple(map(tuple, config.model.stages))
        if self.size % 2 ** len(stages):
            raise UserError(f"data.image_size is a multiple of {2 ** len(stages)}, not {self.size}")
        network = VGG(stages, tuple(config.model.hidden), 3, jnp.dtype(config.compute_dtype))
        rate = optax.cosine_decay_schedule(config.learning_rate, config.num_steps, config.rate_end)
        return Learner(
            network,
            optax.adam(rate),
            accumulate=config.accumulate_steps,
            max_grad_norm=config.max_grad_norm,
        )

    def make_scenes(self, *, camera: bool, distractors: int) -> Tabletop:
        scene = self.config.scene
        check_choice("scene.shape", scene.shape, SHAPES)
        radius_range = tuple(scene.distractor_radius)
        return Tabletop(scene.shape, scene.radius, distractors, radius_range, camera)

    def training_sample(self, domain: jax.Array, key: jax.Array) -> tuple[jax.Array, Scene]:
        """An image `[S, S, 3]` in 0..1 of the look that is trained on, and its scene."""
        scene_key, look_key = jax.random.split(key)
        scene = self.scenes.sample(scene_key)
        textures = jax.random.key(domain)
        return self.look.render(textures, look_key, scene, self.size), scene

    def unseen_sample(self, key: jax.Array) -> tuple[jax.Array, Scene]:
        """An image and its scene in the look that no detector is trained on."""
        scene_key, look_key = jax.random.split(key)
        scene = self.unseen_scenes.sample(scene_key)
        return unseen_look.render(look_key, scene, self.size), scene

    def init(self, key: jax.Array) -> State:
        net_key, domain_key = jax.random.split(key)
        images = jnp.zeros((1, self.size, self.size, 3))
        return State(
            detector=self.learner.init(net_key, images),
            domain=jax.random.bits(domain_key, (), jnp.uint32),
        )

    def positions(self, variables: Any, images: jax.Array) -> jax.Array:
        """Positions `[B, 3]` that the detector finds in images `[B, S, S, 3]` in 0..1."""
        return self.learner.apply(variables, 2 * images - 1)[0]

    def loss(
        self, variables: Any, batch: tuple[jax.Array, jax.Array], key: jax.Array
    ) -> tuple[jax.Array, Aux]:
        """Squared distance between the positions found and the true ones `[B, 3]`."""
        images, true = batch
        error = ((self.positions(variables, images) - true) ** 2).sum(axis=-1)
        return error.mean(), Aux({"error_cm": 100 * jnp.sqrt(error).mean()})

    def step(
        self, state: State, batch: None, t: jax.Array, key: jax.Array
    ) -> tuple[State, dict[str, jax.Array]]:
        """One update on samples drawn with replacement from all that there are."""
        config = self.config
        index = jax.random.bits(key, (config.batch_size,)) % config.data.training_samples
        index = constrain(index, BATCH)
        # Sample i is a function of i alone, so that "20,000 samples" needs no memory.
        samples = jax.random.key(state.domain + 1)
        images, scenes = jax.vmap(
            lambda i: self.training_sample(state.domain, jax.random.fold_in(samples, i))
        )(index)
        detector, metrics = self.learner.minimize(
            state.detector, self.loss, (images, scenes.position), key
        )
        return state.replace(detector=detector), metrics

    def detect(self, look: str, state: State, key_data: jax.Array) -> Detections:
        """Finds the object in new scenes of a look, one for each key `[N, 2]` (uint32)."""
        keys = jax.random.wrap_key_data(key_data)
        sample: Callable[[jax.Array], tuple[jax.Array, Scene]] = self.unseen_sample
        if look == "trained":
            sample = functools.partial(self.training_sample, state.domain)
        images, scenes = jax.vmap(sample)(keys)
        found = self.positions(self.learner.eval_variables(state.detector), images)
        to_pixels = jax.vmap(lambda camera, point: project(camera, point, self.size))
        return Detections(
            images=jnp.round(255 * images).astype(jnp.uint8),
            found=found,
            true=scenes.position,
            found_pixel=to_pixels(scenes.camera, found),
            true_pixel=to_pixels(scenes.camera, scenes.position),
        )

    def detect_all(self, look: str, state: State, keys: jax.Array) -> Detections:
        """`detect` on the host for any number of keys `[N]`, shared over processes and devices."""
        rows = list(np.asarray(jax.random.key_data(keys)))
        return training.map_batches(self._detect[look], state, rows, self.config.eval.batch_size)

    def evaluate(self, state: State, key: jax.Array) -> dict[str, float]:
        """Errors in new scenes, the same ones for all arms where the look is unseen."""
        sizes = self.config.eval
        batches = jax.random.split(key, -(-sizes.images // sizes.batch_size))
        keys = jnp.concatenate([jax.random.split(k, sizes.batch_size) for k in batches])
        numbers: dict[str, float] = {}
        for look in LOOKS:
            _, found, true, *_ = self.detect_all(look, state, keys[: sizes.images])
            middle = true * np.array([0, 0, 1])  # the guess of one who sees nothing
            error = 100 * np.linalg.norm(found - true, axis=-1)
            guess = 100 * np.linalg.norm(middle - true, axis=-1)
            numbers |= {
                f"{look}/error_cm": error.mean(),
                f"{look}/median_cm": np.median(error),
                f"{look}/guess_cm": guess.mean(),
            }
        return numbers


def main(experiment: DomainRandomization, config: ConfigDict, workdir: Path) -> dict[str, float]:
    state, numbers = training.run(experiment, config, workdir)
    keys = jax.random.split(jax.random.key(config.seed), config.eval.batch_size)
    for look in LOOKS:  # rings where the object is, crosses where it is said to be
        shown = experiment.detect_all(look, state, keys[: config.eval.shown])
        if jax.process_index() == 0:
            path = workdir / f"{look}.png"
            save_positions(path, shown.images, shown.true_pixel, shown.found_pixel, rows=2)
    return numbers


def demo(experiment: DomainRandomization, state: State) -> Demo:
    """Finds the object in a picture; its middle is marked as the middle camera would see it."""
    variables, size = experiment.learner.eval_variables(state.detector), experiment.size
    find = jax.jit(experiment.positions)
    camera = experiment.make_scenes(camera=False, distractors=0).sample(jax.random.key(0)).camera

    def run(picture: np.ndarray | None, look: str, scene: int) -> dict[str, Any]:
        if picture is None:
            keys = jax.random.key_data(jax.random.key(scene))[None]
            drawn = experiment.detect_all(look, state, jax.random.wrap_key_data(keys))
            marked = mark_positions(drawn.images, drawn.true_pixel, drawn.found_pixel)
            found, error = drawn.found[0], np.linalg.norm(drawn.found - drawn.true)
            said = f"{100 * error:.1f} cm from where it is (the ring)"
        else:
            image = augment.square(augment.resize_short_side(picture, size), size)
            found = np.asarray(find(variables, image[None] / 255)[0])
            marked = mark_positions(
                image[None], None, np.asarray(project(camera, jnp.asarray(found), size))[None]
            )
            said = "where it is, nobody has told"
        x, y, z = 100 * found
        return {
            "marked": marked[0],
            "position": f"{x:.1f} cm to the right, {y:.1f} cm away and {z:.1f} cm above the middle "
            f"of the table; {said}",
        }

    return Demo(
        title="Find the object",
        says="A detector that was trained on drawn scenes alone says where the object stands: the "
        "cross. Draw a scene, in a look that it has never seen, or give it a picture of your own.",
        inputs={
            "picture": Image("a picture of a table; without one, a scene is drawn"),
            "look": Choice("look of a drawn scene", LOOKS, "unseen"),
            "scene": Number("which scene: another number, another scene", 0, 0, 9999),
        },
        outputs={"marked": Image("where it is said to be"), "position": Text("position")},
        run=run,
        examples=[{"look": look, "scene": scene} for look in LOOKS for scene in (1, 2)],
    )


def claims(results: Results) -> list[Claim]:
    """Position errors in cm, every seed against every seed."""
    error = results["unseen/error_cm"]
    rows = []
    if "one_texture" in results.arms:
        own_look = results.side_by_side(
            "one_texture", guessing="unseen/guess_cm", one_texture="trained/error_cm"
        )
        rows = [
            error.ratio(
                "one_texture",
                "randomized",
                MARGIN,
                claim="on the unseen look, one texture: position error",
                paper="cm; 1.5 on photographs with random textures",
                digits=1,
            ),
            own_look.ratio(
                "guessing",
                "one_texture",
                2,
                claim="one texture was learned: position error on its own look",
                paper="",
                digits=1,
            ),
        ]
    unseen = results.side_by_side(
        "randomized", guessing="unseen/guess_cm", randomized="unseen/error_cm"
    )
    rows.append(
        unseen.ratio(
            "guessing",
            "randomized",
            2,
            claim="random textures: on the unseen look nearer than the table's middle",
            paper="",
            digits=1,
        )
    )
    return rows + [
        Claim(f"{arm}: position error on the unseen look", "", spread(error[arm]), None)
        for arm in results.arms
        if arm not in ("randomized", "one_texture")
    ]


if __name__ == "__main__":
    app.run()
