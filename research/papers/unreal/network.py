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
    """Sizes of a network, and of the pixels that it controls.

    Attributes:
      convolutions: (features, kernel, stride) of each.
      dense: units of the layer after them.
      lstm: units of the LSTM.
      reward: hidden units of reward prediction.
      crop: side of the square under control in the middle of a picture, in pixels.
      cell: side of a cell in it, in pixels.
      channels: of the map from which the control head deconvolves.
    """

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
    """What the network says of T steps of N actors.

    Attributes:
      policy: `{"logits": [T, N, A]}`.
      value: `[T, N]`.
      hidden: `[T, N, U]`, outputs of the LSTM.
      feature_map: `[T, N, h, w, F]`, of the last convolution, the second hidden layer.
    """

    policy: dict[str, jax.Array]
    value: jax.Array
    hidden: jax.Array
    feature_map: jax.Array


class Encoder(nn.Module):
    """Turns images `[B, H, W, C]` uint8 into features `[B, F]` and the last convolution's map."""

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
        encoded = nn.relu(nn.Dense(self.size.dense, dtype=self.dtype, kernel_init=init)(flat))
        return encoded, x


class ControlHead(nn.Module):
    """Turns LSTM outputs `[B, U]` into dueling action values `[B, h, w, F, A]` of every cell.

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
        """Action values of `cells` x `cells` cells with `features` controlled features each.

        Args:
          hidden: `[B, U]`.
          cells: h and w.
          features: F.
        """
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


class UnrealNetwork(nn.Module):
    """Policy, value, and the heads of the auxiliary tasks, on one encoder and one LSTM.

    Attributes:
      num_actions: A.
      variant: of `SIZES`.
      control: "pixels" or "features", what is controlled; "" for no control head.
      predict_rewards: whether there is a head for reward prediction.
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
        """Goes through T steps of N actors.

        Args:
          carry: the LSTM's state before the first step, leaves `[N, U]`.
          observation: `[T, N, H, W, C]` uint8.
          last_action: `[T, N]` int32, -1 where an episode begins.
          last_reward: `[T, N]`.
          first: `[T, N]` bool, an episode begins: the LSTM's state is reset.

        Returns:
          The outputs, and the LSTM's state after the last step.
        """
        lead = observation.shape[:2]
        features, feature_map = self.encoder(observation.reshape(-1, *observation.shape[2:]))
        features = features.reshape(*lead, -1).astype(jnp.float32)
        one_hot_action = jax.nn.one_hot(last_action, self.num_actions)  # zeros for -1
        inputs = jnp.concatenate([features, one_hot_action, last_reward[..., None]], axis=-1)
        hidden, carry = self.lstm(carry, inputs, first)

        flat = hidden.reshape(-1, hidden.shape[-1])
        policy = jax.tree.map(lambda x: x.reshape(*lead, -1), self.policy(flat))
        value = self.value(flat).reshape(lead)
        feature_map = feature_map.reshape(*lead, *feature_map.shape[1:])
        return Outputs(policy, value, hidden, feature_map), carry

    def control_values(self, outputs: Outputs) -> jax.Array:
        """Action values `[T, N, h, w, F, A]` of what is controlled."""
        hidden, size = outputs.hidden, SIZES[self.variant]
        if self.control == "pixels":
            cells, features = size.crop // size.cell, 1
        else:
            cells, features = outputs.feature_map.shape[-2:]
        q = self.head(hidden.reshape(-1, hidden.shape[-1]), cells, features)
        return q.reshape(*hidden.shape[:2], *q.shape[1:])

    def predict_reward(self, frames: jax.Array) -> jax.Array:
        """Logits `[B, 3]` of the class of the reward that follows frames `[B, K, H, W, C]`.

        Only the encoder is shared: the LSTM has no part in it (section 3.2).
        """
        features, _ = self.encoder(frames.reshape(-1, *frames.shape[2:]))
        features = features.reshape(len(frames), -1).astype(jnp.float32)
        return self.reward_class(nn.relu(self.reward_hidden(features)))

    def __call__(self, inputs: Any, history: int) -> None:
        """Makes all parameters.

        Args:
          inputs: what is acted on, leaves `[N, ...]` in the order of `unroll`'s arguments, but for
            its `carry`.
          history: frames from which a reward is predicted.
        """
        step = jax.tree.map(lambda x: x[None], inputs._replace(carry=()))
        outputs, _ = self.unroll(inputs.carry, *step[:4])
        if self.control:
            self.control_values(outputs)
        if self.predict_rewards:
            self.predict_reward(jnp.stack([inputs.observation] * history, axis=1))
