"""All attacks of the two papers on a classifier, and the classes it then says."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp

from research.losses import attacks
from research.losses.attacks import Logits

BOX = (0.0, 1.0)  # of pixels


class Inputs(NamedTuple):
    """What is attacked.

    Attributes:
      x: pixels `[B, S, S, C]`.
      y: true classes `[B]`.
      keys: `[B]`, of the random parts of each row's attacks.
    """

    x: jax.Array
    y: jax.Array
    keys: jax.Array


@dataclasses.dataclass(frozen=True)
class Battery:
    """Attacks of one size.

    Attributes:
      losses: what they raise, of each row; PGD is also tried with margins.
      epsilon: the largest change of a pixel.
      step_size, attack_steps, restarts: of PGD.
    """

    losses: attacks.Losses
    epsilon: float
    step_size: float
    attack_steps: int
    restarts: int

    def fgsm(self, model: Logits, inputs: Inputs, box: attacks.Box = None) -> jax.Array:
        """One step along the sign of the gradient; not clipped unless there is a box."""
        return attacks.fgsm(model, inputs.x, inputs.y, self.epsilon, box=box, losses=self.losses)

    def random_signs(self, inputs: Inputs) -> jax.Array:
        """Noise of the size of `fgsm`."""
        move = lambda key, x: attacks.random_signs(key, x, self.epsilon)  # noqa: E731
        return jax.vmap(move)(inputs.keys, inputs.x)

    def pgd(self, model: Logits, inputs: Inputs, losses: attacks.Losses | None = None) -> jax.Array:
        """Many steps from several random starts, of which each row keeps its worst."""
        start = lambda key, x: attacks.random_starts(  # noqa: E731
            key, x, self.epsilon, self.restarts, BOX
        )
        return attacks.pgd(
            model,
            inputs.x,
            inputs.y,
            self.epsilon,
            step_size=self.step_size,
            num_steps=self.attack_steps,
            starts=jax.vmap(start, out_axes=1)(inputs.keys, inputs.x),
            box=BOX,
            losses=losses or self.losses,
        )

    def attacked(self, model: Logits, inputs: Inputs) -> dict[str, jax.Array]:
        """The model's logits `[B, K]` under each attack on itself; "test" under none."""
        moved = {
            "test": inputs.x,
            "random_sign": self.random_signs(inputs),
            "fgsm": self.fgsm(model, inputs),
            "fgsm_clipped": self.fgsm(model, inputs, BOX),
            "least_likely": attacks.least_likely(
                model, inputs.x, self.epsilon, box=BOX, losses=self.losses
            ),
            "pgd": self.pgd(model, inputs),
            "pgd_margin": self.pgd(model, inputs, attacks.margins),
        }
        return {name: model(x) for name, x in moved.items()}

    def transferred(
        self, model: Logits, sources: Sequence[Logits], inputs: Inputs
    ) -> dict[str, jax.Array]:
        """Logits where an attack on one classifier is shown to another.

        Args:
          model: what is defended.
          sources: networks that were trained as they are, from other first weights.
          inputs: what is attacked.

        Returns:
          "transfer" and "transfer_pgd", the model's under attacks on the first source;
          "transfer_back", that source's under FGSM on the model; "source" and "source_fgsm", its
          own. Of several sources "ensemble", the logarithm of their mean probabilities, under
          FGSM on it, "ensemble_fgsm", and on the first alone, "ensemble_transfer" (section 9).
        """
        source = sources[0]
        on_source = self.fgsm(source, inputs)
        logits = {
            "transfer": model(on_source),
            "transfer_pgd": model(self.pgd(source, inputs)),
            "transfer_back": source(self.fgsm(model, inputs)),
            "source": source(inputs.x),
            "source_fgsm": source(on_source),
        }
        if len(sources) > 1:
            ensemble = functools.partial(mean_of, sources)
            logits["ensemble"] = ensemble(inputs.x)
            logits["ensemble_fgsm"] = ensemble(self.fgsm(ensemble, inputs))
            logits["ensemble_transfer"] = ensemble(on_source)
        return logits


def mean_of(models: Sequence[Logits], x: jax.Array) -> jax.Array:
    """Logarithms of the mean probabilities of several classifiers: `[B, K]`."""
    logs = jnp.stack([jax.nn.log_softmax(model(x)) for model in models])
    return jax.nn.logsumexp(logs, axis=0) - jnp.log(len(models))
