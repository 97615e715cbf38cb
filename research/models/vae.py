"""A variational auto-encoder of vectors: one hidden layer each in encoder and decoder.

Source: Kingma and Welling 2013, arXiv:1312.6114, appendix C.
"""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax

from research.core.errors import check_choice
from research.losses.distributions import Bernoulli, Normal

ACTIVATIONS = {"tanh": nn.tanh, "softplus": nn.softplus, "relu": nn.relu}
LIKELIHOODS = ("bernoulli", "gaussian")


class Encoder(nn.Module):
    """Data x to q(z|x): a Gaussian whose mean and log variance are linear in the hidden layer.

    Attributes:
      latent_size: entries of z.
      hidden: units of the hidden layer.
      activation: a name of `ACTIVATIONS`.
      initializer: of every kernel and bias.
    """

    latent_size: int
    hidden: int
    activation: str
    initializer: nn.initializers.Initializer

    @nn.compact
    def __call__(self, x: jax.Array) -> tuple[Normal, dict[str, jax.Array]]:
        """q(z|x) of x `[..., D]`, and the hidden layer."""
        dense: Any = {"kernel_init": self.initializer, "bias_init": self.initializer}
        h = ACTIVATIONS[self.activation](nn.Dense(self.hidden, name="hidden_layer", **dense)(x))
        mean = nn.Dense(self.latent_size, name="mean", **dense)(h)
        log_var = nn.Dense(self.latent_size, name="log_var", **dense)(h)
        return Normal(mean, log_var), {"hidden": h}


class Decoder(nn.Module):
    """Latents z to p(x|z): Bernoulli (C.1), or a Gaussian whose mean lies in 0 to 1 (C.2).

    Attributes:
      data_size: entries of x.
      hidden, activation, initializer: see `Encoder`.
      likelihood: a name of `LIKELIHOODS`.
    """

    data_size: int
    hidden: int
    activation: str
    initializer: nn.initializers.Initializer
    likelihood: str

    @nn.compact
    def __call__(self, z: jax.Array) -> tuple[Bernoulli | Normal, dict[str, jax.Array]]:
        """p(x|z) of z `[..., Z]`, and the hidden layer."""
        dense: Any = {"kernel_init": self.initializer, "bias_init": self.initializer}
        h = ACTIVATIONS[self.activation](nn.Dense(self.hidden, name="hidden_layer", **dense)(z))
        logits = nn.Dense(self.data_size, name="mean", **dense)(h)
        if self.likelihood == "bernoulli":
            return Bernoulli(logits), {"hidden": h}
        log_var = nn.Dense(self.data_size, name="log_var", **dense)(h)
        return Normal(nn.sigmoid(logits), log_var), {"hidden": h}


class VAE(nn.Module):
    """An encoder and a decoder, called apart: `method="encode"` and `method="decode"`.

    Only what is called gets parameters: a model that is initialised by `decode` has no encoder.

    Attributes:
      data_size: entries of x.
      latent_size: entries of z.
      hidden: units of both hidden layers.
      likelihood: "bernoulli" or "gaussian".
      activation: of both hidden layers, a name of `ACTIVATIONS`.
      init_std: standard deviation of all parameters at the start.

    Raises:
      UserError: there is no such likelihood or activation.
    """

    data_size: int
    latent_size: int
    hidden: int
    likelihood: str = "bernoulli"
    activation: str = "tanh"
    init_std: float = 0.01

    def setup(self) -> None:
        check_choice("model.likelihood", self.likelihood, LIKELIHOODS)
        check_choice("model.activation", self.activation, ACTIVATIONS)
        shared: dict[str, Any] = {
            "hidden": self.hidden,
            "activation": self.activation,
            "initializer": nn.initializers.normal(self.init_std),
        }
        self.encoder = Encoder(self.latent_size, **shared)
        self.decoder = Decoder(self.data_size, likelihood=self.likelihood, **shared)

    def encode(self, x: jax.Array) -> Normal:
        """q(z|x) of x `[..., D]`."""
        return self.encoder(x)[0]

    def decode(self, z: jax.Array) -> Bernoulli | Normal:
        """p(x|z) of z `[..., Z]`."""
        return self.decoder(z)[0]

    def __call__(self, x: jax.Array) -> Bernoulli | Normal:
        """p(x|z) at the mean of q(z|x), of x `[..., D]`."""
        return self.decode(self.encode(x).mean)
