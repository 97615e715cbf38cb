"""The pairs of generator and critic trained on images, by name (figure 2, table 3)."""

from __future__ import annotations

import functools
from typing import Any, Literal

import flax.linen as nn
import jax.numpy as jnp
from flax.typing import Dtype

from research.core.errors import UserError, check_choice
from research.models import dcgan, dense_gan
from research.models import wgan_gp_resnet as resnet

ARCHITECTURES = {
    "dcgan": "both as in DCGAN",
    "constant_width": "G without batch norm, all its maps of one width",
    "dense": "G of four dense layers of 512 units",
    "no_norm": "no normalisation in either",
    "gated": "sigmoid(a) tanh(b) everywhere",
    "tanh": "tanh everywhere",
    "resnet_101": "residual networks of 101 layers",
    "resnet": "the residual pair of section 5.3",
    "cifar_resnet": "the residual pair of table 3, with classes where there are some",
}


def check(architecture: str, image_size: int, width: int, num_classes: int) -> None:
    """Refuses what an architecture cannot make.

    Raises:
      UserError: no such architecture, or image size, width or classes that it does not have.
    """
    check_choice("model.architecture", architecture, ARCHITECTURES)
    try:
        dcgan.num_levels(image_size)
    except ValueError as error:
        raise UserError(f"data.{error}") from error
    if architecture == "resnet_101" and width % 4:
        raise UserError(f"model.width of resnet_101 is a multiple of 4, not {width}")
    if num_classes and architecture != "cifar_resnet":
        raise UserError(
            f"{architecture} has no classes; set data.num_classes=0, or take cifar_resnet"
        )


def make(
    architecture: str,
    image_shape: tuple[int, int, int],
    width: int,
    *,
    num_classes: int,
    critic_norm: Literal["batch", "layer"],
    dtype: Dtype,
) -> tuple[nn.Module, nn.Module]:
    """A generator and a critic, as `check` has passed them.

    Args:
      architecture: one of `ARCHITECTURES`.
      image_shape: `(size, size, channels)`.
      width: channels of the widest image's maps.
      num_classes: K; 0 for none.
      critic_norm: of the critics that are normalised.
      dtype: of the computation.
    """
    size, _, channels = image_shape
    if architecture == "cifar_resnet":
        return (
            resnet.Generator(size, channels, num_classes, width, dtype),
            resnet.Critic(num_classes, width, dtype=dtype),
        )
    if architecture in ("resnet", "resnet_101"):
        generator, critic = (
            (resnet.TaperedGenerator, resnet.TaperedCritic)
            if architecture == "resnet"
            else (resnet.DeepGenerator, resnet.DeepCritic)
        )
        return (
            generator(size, channels, width, dtype=dtype),
            critic(width, norm=critic_norm, dtype=dtype),
        )
    return dcgan_family(architecture, image_shape, width, critic_norm, dtype)


def dcgan_family(
    architecture: str,
    image_shape: tuple[int, int, int],
    width: int,
    critic_norm: Literal["batch", "layer"],
    dtype: Dtype,
) -> tuple[nn.Module, nn.Module]:
    """DCGAN's pair, and what figure 2 changes in it. Layers before a batch norm have no bias."""
    size, _, channels = image_shape
    generator = functools.partial(dcgan.Generator, size, channels, width, dtype=dtype)
    options: dict[str, Any] = {"norm": critic_norm, "use_bias": critic_norm != "batch"}
    if architecture in ("gated", "tanh"):
        change: dict[str, Any] = (
            {"gated": True} if architecture == "gated" else {"nonlinearity": jnp.tanh}
        )
        return generator(**change), dcgan.Discriminator(width, **options, **change, dtype=dtype)
    if architecture == "no_norm":
        options = {"norm": "none", "use_bias": True}
    critic = dcgan.Discriminator(width, **options, dtype=dtype)
    if architecture == "dense":
        return dense_gan.Generator(image_shape, 512, 4, jnp.tanh), critic
    if architecture == "dcgan":
        return generator(), critic
    tapered = architecture == "no_norm"
    return generator(norm="none", use_bias=True, tapered=tapered), critic
