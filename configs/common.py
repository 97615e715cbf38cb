"""What several configurations share: the default of every run, and how variants are made of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ml_collections import ConfigDict

from research.training import run_config

Variant = Callable[[ConfigDict], None]


def base() -> ConfigDict:
    """The keys that every run has; a paper's configuration adds its own to them."""
    return run_config()


def choose(config: ConfigDict, variants: Mapping[str, Variant], variant: str) -> ConfigDict:
    """The default configuration, or what a variant's function makes of it.

    Raises:
      ValueError: there is no such variant.
    """
    if variant:
        if variant not in variants:
            raise ValueError(f"no variant {variant!r}; variants: {', '.join(variants)}")
        variants[variant](config)
    return config


def described(text: str, function: Callable[..., None], *args: Any, **kwargs: Any) -> Variant:
    """A variant whose description is `text`, for one of a family such as depths of a network."""

    def variant(config: ConfigDict) -> None:
        function(config, *args, **kwargs)

    variant.__doc__ = text
    return variant


def single(config: ConfigDict) -> None:
    """Leaves one run: no arms are compared, and no claims are checked."""
    config.arms = ConfigDict(convert_dict=False)
    config.check_claims = False
