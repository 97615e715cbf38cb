"""The network of UNREAL: convolutions and an LSTM that the agent and its auxiliary tasks share
(Jaderberg et al., 2016, arXiv:1611.05397, figure 1).

Weights are orthogonal as in `actor_critic`. The deconvolution goes from 9x9 to 20x20 cells (4x4,
stride 2, no padding).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.typing import Dtype

from research.models.actor_critic import PolicyHead, ValueHead
from research.nn.conv import Conv, ConvTranspose
from research.nn.recurrent import LSTM, Carry


class Size(NamedTuple):
    """Attributes: convolutions (features, kernel, stride); dense, units after them; lstm; reward,
    hidden units of reward prediction; crop, cell: the pixels under control; channels of the head of
    pixel control."""

    convolutions: Sequence[tuple[int, int, int]]
    dense: int
    lstm: int
    reward: int
    crop: int
    cell: int
    channels: int


SIZES = {
    "paper": Size(((16, 8, 4), (32, 4, 2)), 256, 256, 128, 80, 4, 32),  # 84x84 pixels
    "small": Size(((16, 4, 2), (32, 4, 2)), 64, 64, 64, 16, 2, 16),  # 20x20
    "tiny": Size(((4, 4, 4), (8, 2, 1)), 16, 16, 8, 16, 4, 4),  # 20x20
    "probe": Size(((8, 2, 1), (8, 2, 1)), 16, 16, 8, 2, 1, 4),  # 3x3
}


class Outputs(NamedTuple):
    """Attributes: policy `{"logits": [T, N, A]}`; value `[T, N]`; hidden `[T, N, U]`, of the LSTM;
    map `[T, N, h, w, F]`, of the second hidden layer."""

    policy: dict[str, jax.Array]
    value: jax.Array
    hidden: jax.Array
    map: jax.Array


class Encoder(nn.Module):
    """Images `[B, H, W, C]` uint8 to features `[B, F]` and the last convolution's map."""

    size: Size
    dtype: Dtype | None = None

    @nn.compact
    def __call__(self, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        init = nn.initializers.orthogonal(2**0.5)
        x = x.astype(self.dtype or jnp.float32) / 255
        for features, kernel, stride in self.size.convolutions:
            conv = Conv(features, kernel, stride, "VALID", dtype=self.dtype, kernel_init=init)
            x = nn.relu(conv(x))
        flat = x.reshape(x.shape[0], -1)
        return nn.relu(nn.Dense(self.size.dense, dtype=self.dtype, kernel_init=init)(flat)), x


class ControlHead(nn.Module):
    """LSTM outputs `[B, U]` to dueling action values `[B, h, w, F, A]` of every cell.

    Attributes:
      num_actions: A.
      channels: of the map that the hidden layer makes.
      kernel, stride: of the deconvolution.
    """

    num_actions: int
    channels: int
    kernel: int
    stride: int

    @nn.compact
    def __call__(self, hidden: jax.Array, cells: int, features: int) -> jax.Array:
        """Args: hidden `[B, U]`; cells, h = w; features, F."""
        init = nn.initializers.orthogonal(2**0.5)
        side = (cells - self.kernel) // self.stride + 1
        x = nn.relu(nn.Dense(side**2 * self.channels, kernel_init=init)(hidden))
        x = x.reshape(-1, side, side, self.channels)

        def deconvolve(features: int, name: str) -> jax.Array:
            return ConvTranspose(features, self.kernel, self.stride, "VALID", name=name)(x)

        value = deconvolve(features, "value")[..., None]
        advantage = deconvolve(features * self.num_actions, "advantage")
        advantage = advantage.reshape(*value.shape[:-1], self.num_actions)
        return value + advantage - advantage.mean(axis=-1, keepdims=True)


class Unreal(nn.Module):
    """Policy, value, and the heads of the auxiliary tasks.

    Attributes:
      num_actions: A.
      variant: of `SIZES`.
      control: "pixels" or "features", what is controlled; "" for no such head.
      predict_rewards: whether there is a head for it.
      dtype: type of the convolutions' computation; parameters are float32.
    """

    num_actions: int
    variant: str
    control: str = "pixels"
    predict_rewards: bool = True
    dtype: Dtype | None = None

    def setup(self) -> None:
        size = SIZES[self.variant]
        self.encoder = Encoder(size, self.dtype)
        self.lstm = LSTM(size.lstm)
        self.policy = PolicyHead(self.num_actions, 0)
        self.value = ValueHead()
        init = nn.initializers.orthogonal(2**0.5)
        self.reward_hidden = nn.Dense(size.reward, kernel_init=init)
        self.reward_class = nn.Dense(3, kernel_init=nn.initializers.orthogonal(0.01))
        wide = self.control == "pixels" and size.crop // size.cell >= 4
        kernel, stride = (4, 2) if wide else (1, 1)
        self.head = ControlHead(self.num_actions, size.channels, kernel, stride)

    def unroll(
        self,
        carry: Carry,
        observation: jax.Array,
        last_action: jax.Array,
        last_reward: jax.Array,
        first: jax.Array,
    ) -> tuple[Outputs, Carry]:
        """Through T steps, as `RecurrentObservation` has them: leaves `[T, N, ...]`, the carry's of
        before the first of them `[N, U]`."""
        lead = observation.shape[:2]
        features, map_ = self.encoder(observation.reshape(-1, *observation.shape[2:]))
        done = jax.nn.one_hot(last_action, self.num_actions)  # of -1: zeros
        fed = jnp.concatenate(
            [features.reshape(*lead, -1).astype(jnp.float32), done, last_reward[..., None]], axis=-1
        )
        hidden, carry = self.lstm(carry, fed, first)
        flat = hidden.reshape(-1, hidden.shape[-1])
        policy = jax.tree.map(lambda x: x.reshape(*lead, -1), self.policy(flat))
        value = self.value(flat).reshape(lead)
        return Outputs(policy, value, hidden, map_.reshape(*lead, *map_.shape[1:])), carry

    def control_values(self, outputs: Outputs) -> jax.Array:
        """Action values `[T, N, h, w, F, A]` of what is controlled."""
        hidden, size = outputs.hidden, SIZES[self.variant]
        of_pixels = size.crop // size.cell, 1
        cells, features = of_pixels if self.control == "pixels" else outputs.map.shape[-2:]
        q = self.head(hidden.reshape(-1, hidden.shape[-1]), cells, features)
        return q.reshape(*hidden.shape[:2], *q.shape[1:])

    def tell_reward(self, frames: jax.Array) -> jax.Array:
        """Logits `[B, 3]` of the class of the reward that follows frames `[B, K, H, W, C]`. The
        LSTM has no part in it."""
        features, _ = self.encoder(frames.reshape(-1, *frames.shape[2:]))
        together = features.reshape(len(frames), -1).astype(jnp.float32)
        return self.reward_class(nn.relu(self.reward_hidden(together)))

    def __call__(self, seen: Any, history: int) -> None:
        """Makes all parameters, from what is acted on `[N, ...]`."""
        step = jax.tree.map(lambda x: x[None], seen._replace(carry=()))
        outputs, _ = self.unroll(seen.carry, *step[:4])
        if self.control:
            self.control_values(outputs)
        if self.predict_rewards:
            self.tell_reward(jnp.stack([seen.observation] * history, axis=1))
