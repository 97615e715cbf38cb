"""Domain Randomization for Transferring Deep Neural Networks from Simulation to the Real World
(Tobin, Fong, Ray, Schneider, Zaremba, Abbeel, 2017), arXiv:1703.06907.

Claim: a detector trained on images of random looks alone finds an object's position in images of a
look that it has never seen; one trained on a single look does not.

What a robot knows of its blocks in `one_shot_imitation` can come from such a detector. Departures:
the images that it is tested on are no photographs, but of another renderer (`unseen_look`); weights
begin at random, as in the paper's own comparison, and not from ImageNet; no robot is seen.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from research import app, training
from research.core import Aux, Experiment, Learner, UserError
from research.core.errors import check_choice
from research.core.legacy import OldExperiment
from research.core.partition import BATCH, constrain
from research.models.vgg import VGG
from research.papers.domain_randomization import unseen_look
from research.papers.domain_randomization.polyhedra import SHAPES
from research.papers.domain_randomization.position_plots import save_positions
from research.papers.domain_randomization.random_look import DomainRandomization
from research.papers.domain_randomization.tabletop import Scene, Tabletop, project
from research.report.claims import Claim, Paper, spread

PAPER = Paper(
    title="Domain Randomization for Transferring Deep Neural Networks to the Real World",
    authors="Tobin et al.",
    year=2017,
    arxiv="1703.06907",
    claim="Trained on random looks, a detector of positions transfers to a look never seen.",
    # Derived: VGG-16's convolutions, 7 * 7 * 512 to 256 to 64 to 3.
    parameters={"vgg16": 21_154_115},
    curves=("unseen/error_cm", "trained/error_cm", "loss"),
)

# How much nearer random textures lead than one.
MARGIN = 2.0

Draw = Callable[[jax.Array], tuple[jax.Array, Scene]]


def build(config: Any, detectors: Any = None) -> Experiment:
    learner, size = make_learner(config), config.data.image_size
    detectors = detectors or make_detectors(config)

    def init(key: jax.Array) -> dict[str, Any]:
        net_key, domain_key = jax.random.split(key)
        images = jnp.zeros((1, size, size, 3))
        # The seed of the textures that there are, and of the training samples.
        domain = jax.random.bits(domain_key, (), jnp.uint32)
        return {"detector": learner.init(net_key, images), "domain": domain}

    def step(state: dict, batch: None, key: jax.Array) -> tuple[dict, dict]:
        """One update on samples drawn with replacement from all that there are."""
        draw = training_look(config, state["domain"])
        index = jax.random.bits(key, (config.batch_size,)) % config.data.training_samples
        base = jax.random.key(state["domain"] + 1)
        index = constrain(index, BATCH)
        images, scenes = jax.vmap(lambda i: draw(jax.random.fold_in(base, i)))(index)

        def loss_fn(variables: Any, batch: Any, key: jax.Array) -> tuple[jax.Array, Aux]:
            images, positions = batch
            found, _ = learner.apply(variables, 2 * images - 1)
            error = ((found - positions) ** 2).sum(axis=-1)
            return error.mean(), Aux({"error_cm": 100 * jnp.sqrt(error).mean()})

        detector, metrics = learner.minimize(
            state["detector"], loss_fn, (images, scenes.position), key
        )
        return {**state, "detector": detector}, metrics

    def on(look: str) -> Callable[[dict, jax.Array], dict[str, float]]:
        return lambda state, key: errors(detectors[look], state, key, config.eval)

    return OldExperiment(
        init,
        step,
        config.num_steps,
        evals={look: on(look) for look in detectors},
        per_step={"images": config.batch_size},
    )


def errors(detector: Any, state: dict, key: jax.Array, sizes: Any) -> dict[str, float]:
    """In new scenes. `guess_cm` is that of who says the table's middle for each of them."""
    keys = jax.random.split(key, -(-sizes.images // sizes.batch_size))
    state = jax.device_get(state)
    pairs = [detector(state, key)[1] for key in keys]
    found, true = np.concatenate(pairs, axis=1)[:, : sizes.images]
    error, guess = (100 * np.linalg.norm(x - true, axis=-1) for x in (found, true * [0, 0, 1]))
    return {"error_cm": error.mean(), "median_cm": np.median(error), "guess_cm": guess.mean()}


def make_learner(config: Any) -> Learner:
    check_choice("scene.shape", config.scene.shape, SHAPES)
    stages = tuple(map(tuple, config.model.stages))
    if config.data.image_size % 2 ** len(stages):
        raise UserError(
            f"data.image_size is a multiple of {2 ** len(stages)}, not {config.data.image_size}"
        )
    network = VGG(stages, tuple(config.model.hidden), 3, jnp.dtype(config.compute_dtype))
    rate = optax.cosine_decay_schedule(config.learning_rate, config.num_steps, config.rate_end)
    return Learner(
        network, optax.adam(rate), config.accumulate_steps, config.max_grad_norm, config.ema_decay
    )


def tabletop(config: Any, *, camera: bool = True, distractors: int) -> Tabletop:
    scene = config.scene
    return Tabletop(scene.shape, scene.radius, distractors, tuple(scene.distractor_radius), camera)


def training_look(config: Any, domain: jax.Array) -> Draw:
    """A key to an image in 0..1 and its scene, as in training."""
    random = config.randomization
    scenes = tabletop(config, camera=random.camera, distractors=random.distractors)
    look = DomainRandomization(random.textures, random.noise)
    pool = jax.random.key(domain)

    def draw(key: jax.Array) -> tuple[jax.Array, Scene]:
        scene_key, look_key = jax.random.split(key)
        scene = scenes.sample(scene_key)
        return look.render(pool, look_key, scene, config.data.image_size), scene

    return draw


def make_detectors(config: Any) -> dict[str, Any]:
    """Of each look: a state and a key to `eval.batch_size` images of new scenes (uint8), positions
    `[2, N, 3]` found and true, and where in the images both are, `[2, N, 2]`. The unseen look has
    the same scenes for all arms, from random places and with others on the table."""
    size, learner = config.data.image_size, make_learner(config)
    unseen = tabletop(config, distractors=config.eval.distractors)

    def draw_unseen(key: jax.Array) -> tuple[jax.Array, Scene]:
        scene_key, look_key = jax.random.split(key)
        scene = unseen.sample(scene_key)
        return unseen_look.render(look_key, scene, size), scene

    def detector(look: str) -> Any:
        def detect(state: dict, key: jax.Array) -> Any:
            draw = training_look(config, state["domain"]) if look == "trained" else draw_unseen
            images, scenes = jax.vmap(draw)(jax.random.split(key, config.eval.batch_size))
            variables = learner.eval_variables(state["detector"])
            positions = jnp.stack([learner.apply(variables, 2 * images - 1)[0], scenes.position])
            places = jax.vmap(lambda camera, points: project(camera, points, size), (0, 1), 1)(
                scenes.camera, positions
            )
            return jnp.round(255 * images).astype(jnp.uint8), positions, places

        return jax.jit(detect)

    return {look: detector(look) for look in ("trained", "unseen")}


def main(config: Any, workdir: Path) -> dict[str, float]:
    detectors = make_detectors(config)
    experiment = build(config, detectors)
    state, numbers = training.run(experiment, config, workdir)
    if jax.process_index() == 0:  # rings where the object is, crosses where it is said to be
        for look, detect in detectors.items():
            images, _, (found, true) = jax.device_get(
                detect(jax.device_get(state), jax.random.key(config.seed))
            )
            shown = slice(config.eval.shown)
            save_positions(
                workdir / f"{look}.png", images[shown], true[shown], found[shown], rows=2
            )
    return numbers


def claims(results: Any) -> list[Claim]:
    error, guess, own = (
        {arm: numbers[name] for arm, numbers in results.items()}
        for name in ("unseen/error_cm", "unseen/guess_cm", "trained/error_cm")
    )
    shown = {arm: f"{arm} {spread(values)}" for arm, values in error.items()}
    rows, ours = [], error["randomized"]
    if "one_texture" in error:
        rows = [
            Claim(
                f"on the unseen look, one texture: position error >= {MARGIN} x as large",
                "cm; 1.5 on photographs with random textures",
                f"{shown['randomized']}, {shown['one_texture']}",
                ours.max() * MARGIN <= error["one_texture"].min(),
            ),
            Claim(
                "one texture was learned: on its own look <= half of guessing",
                "",
                f"one_texture {spread(own['one_texture'])}",
                own["one_texture"].max() * 2 <= guess["one_texture"].min(),
            ),
        ]
    rows.append(
        Claim(
            "random textures: on the unseen look <= half of guessing the table's middle",
            "",
            f"{shown['randomized']}, guessing {spread(guess['randomized'])}",
            ours.max() * 2 <= guess["randomized"].min(),
        )
    )
    return rows + [
        Claim(f"{arm}: position error on the unseen look", "", shown[arm], None)
        for arm in results
        if arm not in ("randomized", "one_texture")
    ]


if __name__ == "__main__":
    app.run()
