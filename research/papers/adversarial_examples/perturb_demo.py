"""A demo that perturbs a picture, and shows what a classifier says before and after."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from research.core.errors import UserError
from research.data.images.kept import KeptImages
from research.losses import attacks
from research.papers.adversarial_examples.battery import BOX
from research.papers.adversarial_examples.figures import grey_pixels, grey_signs
from research.report.demo import Choice, Demo, Image, Number, Probabilities

ATTACKS = ("fgsm", "least_likely", "pgd", "random_sign")
AS_IT_SAYS = "as the network says"
_STEPS = 20  # of PGD, each a fifth of epsilon
_LEAST_SIDE = 128  # pixels of a picture that is shown
_TOP = 5


def perturb_demo(
    kept: KeptImages,
    pixels: Callable[[Any], jax.Array],
    model: attacks.Logits,
    *,
    losses: attacks.Losses,
    probabilities: Callable[[jax.Array], jax.Array],
    epsilon: float,
) -> Demo:
    """Makes the demo of a classifier.

    Args:
      kept: what a run keeps of its images.
      pixels: `Images.plain` of a record, in a batch, to x in 0 to 1.
      model: x `[1, S, S, C]` to logits `[1, K]`.
      losses: see `research.losses.attacks`.
      probabilities: of logits `[1, K]`.
      epsilon: where the slider begins.
    """
    names = list(kept.class_names)

    def likeliest(x: jax.Array) -> dict[str, float]:
        shares = np.asarray(probabilities(model(x))[0], np.float64)
        return {names[k]: float(shares[k]) for k in np.argsort(-shares, kind="stable")[:_TOP]}

    def moved(x: jax.Array, y: jax.Array, epsilon: float, attack: str) -> jax.Array:
        match attack:
            case "fgsm":
                return attacks.fgsm(model, x, y, epsilon, box=BOX, losses=losses)
            case "least_likely":
                return attacks.least_likely(model, x, epsilon, box=BOX, losses=losses)
            case "pgd":
                step = epsilon / 5
                return attacks.pgd(
                    model, x, y, epsilon, step_size=step, num_steps=_STEPS, losses=losses
                )
            case _:
                return attacks.random_signs(jax.random.key(0), x, epsilon, BOX)

    def run(picture: np.ndarray, epsilon: float, attack: str, shows: str) -> dict[str, Any]:
        if min(picture.shape[:2]) < 2:
            shape = f"{picture.shape[1]} x {picture.shape[0]}"
            raise UserError(f"a picture of {shape} pixels shows nothing")
        x = pixels(kept.images.plain(kept.record(picture))[None])
        y = model(x).argmax(-1) if shows == AS_IT_SAYS else jnp.array([names.index(shows)])
        perturbed = moved(x, y, epsilon, attack)
        signs = np.clip(np.asarray(perturbed - x)[0] / max(epsilon, 1e-9), -1, 1)
        return {
            "perturbed": _enlarged(grey_pixels(np.asarray(perturbed[0]))),
            "signs": _enlarged(grey_signs(signs)),
            "before": likeliest(x),
            "after": likeliest(perturbed),
        }

    return Demo(
        title="Mislead a classifier",
        says="Every pixel of a picture moves by epsilon at most, where black is 0 and white is 1. "
        "Along the sign of the gradient that is enough to change what the network says; in random "
        "directions it mostly is not.",
        inputs={
            "picture": Image("a picture", kept.examples[0].picture),
            "epsilon": Number("epsilon, the most that a pixel changes", epsilon, 0, 1, 0.01),
            "attack": Choice("how pixels move", ATTACKS, ATTACKS[0]),
            "shows": Choice("what the picture shows", (AS_IT_SAYS, *names), AS_IT_SAYS),
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
    """A picture `[S, S, C]` of at least some side, and `[S', S']` where it is grey."""
    times = max(1, -(-_LEAST_SIDE // len(picture)))
    picture = picture.repeat(times, 0).repeat(times, 1)
    return picture[..., 0] if picture.shape[-1] == 1 else picture
