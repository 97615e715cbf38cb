"""Published sizes of architectures: plain numbers, which a configuration reads without JAX."""

from __future__ import annotations

from typing import Any

# Blocks of conv2_x to conv5_x (He et al. 2015, table 1), and whether they are bottlenecks.
RESNET = {
    18: ((2, 2, 2, 2), False),
    34: ((3, 4, 6, 3), False),
    50: ((3, 4, 6, 3), True),
    101: ((3, 4, 23, 3), True),
    152: ((3, 8, 36, 3), True),
}
# VGG-16 (Simonyan and Zisserman, 2014): channels of the convolutions of each stage.
VGG16 = ((64,) * 2, (128,) * 2, (256,) * 3, (512,) * 3, (512,) * 3)

# Vaswani et al. (2017), table 3, and a small one for data sets of some ten thousand pairs.
TRANSFORMER: dict[str, dict[str, Any]] = {
    "base": dict(layers=6, dim=512, num_heads=8, head_dim=64, hidden=2048, dropout=0.1),
    "big": dict(layers=6, dim=1024, num_heads=16, head_dim=64, hidden=4096, dropout=0.3),
    "small": dict(layers=3, dim=192, num_heads=6, head_dim=32, hidden=768, dropout=0.1),
}


def _sizes(layers: int, dim: int, num_heads: int, **other: Any) -> dict[str, Any]:
    return dict(
        layers=layers,
        dim=dim,
        num_heads=num_heads,
        head_dim=dim // num_heads,
        hidden=4 * dim,
        **other,
    )


_GPT1: dict[str, Any] = dict(
    vocab_size=40_478,
    max_length=512,
    pre_norm=False,
    position_std=0.02,
    dropout=0.1,
    attention_dropout=0.1,
)
_GPT2: dict[str, Any] = dict(vocab_size=50_257, max_length=1024)
# The width of the bands is not published.
_GPT3: dict[str, Any] = dict(vocab_size=50_257, max_length=2048, window=256)
GPT: dict[str, dict[str, Any]] = {
    "gpt1": _sizes(12, 768, 12, **_GPT1),
    "gpt2": _sizes(12, 768, 12, **_GPT2),
    "gpt2_medium": _sizes(24, 1024, 16, **_GPT2),
    "gpt2_large": _sizes(36, 1280, 20, **_GPT2),
    "gpt2_xl": _sizes(48, 1600, 25, **_GPT2),
    "gpt3_small": _sizes(12, 768, 12, **_GPT3),
    "gpt3_medium": _sizes(24, 1024, 16, **_GPT3),
    "gpt3_large": _sizes(24, 1536, 16, **_GPT3),
    "gpt3_xl": _sizes(24, 2048, 16, **_GPT3),
    "gpt3_2.7b": _sizes(32, 2560, 32, **_GPT3),
    "gpt3_6.7b": _sizes(32, 4096, 32, **_GPT3),
    "gpt3_13b": _sizes(40, 5120, 40, **_GPT3),
    "gpt3_175b": _sizes(96, 12288, 96, **_GPT3),
}

# Devlin et al. (2018), section 3; the vocabulary is that of the released models in lower case.
_BERT: dict[str, Any] = dict(
    vocab_size=30_522, max_length=512, dropout=0.1, attention_dropout=0.1, init_std=0.02
)
BERT: dict[str, dict[str, Any]] = {
    "base": _sizes(12, 768, 12, **_BERT),
    "large": _sizes(24, 1024, 16, **_BERT),
}
