"""WaveNet (van den Oord et al., 2016): a stack of dilated causal convolutions over raw sound.

It says how likely each value of a sample is, given those before it: `logits[:, t]` are of sample t
and depend on the samples before t alone. Samples are numbers of bins; -1 is «no sample», whose
input is zero. What lies before a sound is zero in every layer.

The same layers run over whole sounds `[B, T]`, in parallel, and sample by sample, from queues of
what they need of the past (Paine et al., 2016, arXiv:1611.09482).
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

Array = jax.Array


def product(x: Array, kernel: Array, step_by_step: bool) -> Array:
    """x `[B, T, C]` or `[B, C]` times a kernel `[C, D]`.

    Matrix products of different sizes may add up in different orders. With `step_by_step` those of
    `[B, T, C]` are made of T products of `[B, C]`, so that they round as they do in generation.
    """
    kernel = kernel.astype(x.dtype)
    if step_by_step and x.ndim == 3:
        rows = jax.lax.map(lambda row: row @ kernel, jnp.swapaxes(x, 0, 1))
        return jnp.swapaxes(rows, 0, 1)
    return x @ kernel


def delayed(x: Array, by: int, fill: Any = 0) -> Array:
    """x `[B, T, ...]` moved to the right by `by` places, `fill` before it."""
    if by >= x.shape[1]:
        return jnp.full_like(x, fill)
    pad = [(0, 0), (by, 0), *([(0, 0)] * (x.ndim - 2))]
    return jnp.pad(x, pad, constant_values=fill)[:, : x.shape[1]]


class Queue(NamedTuple):
    """The last inputs of a causal convolution as a ring: that of time t is in place t mod n.

    Attributes:
      values: `[B, n, ...]`, n = (taps - 1) dilation.
    """

    values: Array

    def taps(self, now: Array, t: Array, taps: int, dilation: int) -> list[Array]:
        """Inputs at t - (taps - 1) dilation, ..., t - dilation, t, of which `now` is the last."""
        size = self.values.shape[1]
        lags = [(taps - 1 - tap) * dilation for tap in range(taps - 1)]
        return [*(self.values[:, (t - lag) % size] for lag in lags), now]

    def pushed(self, now: Array, t: Array) -> Queue:
        """The queue after time t, its oldest entry replaced by `now`."""
        size = self.values.shape[1]
        if not size:
            return self
        return Queue(jax.lax.dynamic_update_index_in_dim(self.values, now, t % size, 1))


def taps_of(x: Array, taps: int, dilation: int, fill: Any = 0) -> list[Array]:
    """What `Queue.taps` gives, for all times of x `[B, T, ...]` at once."""
    return [delayed(x, (taps - 1 - tap) * dilation, fill) for tap in range(taps)]


class Pointwise(nn.Module):
    """A 1x1 convolution."""

    features: int
    step_by_step: bool = False

    @nn.compact
    def __call__(self, x: Array) -> Array:
        shape = (x.shape[-1], self.features)
        kernel = self.param("kernel", nn.initializers.lecun_normal(), shape)
        bias = self.param("bias", nn.initializers.zeros, (self.features,))
        return product(x, kernel, self.step_by_step) + bias.astype(x.dtype)


class InputConvolution(nn.Module):
    """The causal convolution of the samples themselves, one-hot or scaled to -1 to 1.

    Attributes:
      bins: Q, of a sample.
      features: C.
      taps: width of the filter.
      scalar: whether a sample is the number 2 q / (Q - 1) - 1, in place of Q zeros and ones.
      dtype: of what it returns.
    """

    bins: int
    features: int
    taps: int
    scalar: bool
    step_by_step: bool
    dtype: Any

    def setup(self):
        inputs = 1 if self.scalar else self.bins
        init = nn.initializers.normal(self.taps**-0.5)  # one input of a tap is not zero
        self.kernel = self.param("kernel", init, (self.taps, inputs, self.features))
        self.bias = self.param("bias", nn.initializers.zeros, (self.features,))

    def __call__(self, taps: Sequence[Array]) -> Array:
        """Taps `[B, T]` or `[B]` int32; or one-hot `[B, T, Q]`, through which gradients go."""
        parts = [self._part(x, kernel) for x, kernel in zip(taps, self.kernel, strict=True)]
        return sum(parts[1:], parts[0]) + self.bias.astype(self.dtype)

    def _part(self, x: Array, kernel: Array) -> Array:
        kernel = kernel.astype(self.dtype)
        if not jnp.issubdtype(x.dtype, jnp.integer):
            x = x.astype(self.dtype)
            if self.scalar:  # a one-hot vector of 0 stands for no sample, and has the value 0
                x = x @ jnp.linspace(-1.0, 1.0, self.bins, dtype=self.dtype)[:, None]
            return product(x, kernel, self.step_by_step)
        heard = (x >= 0)[..., None].astype(self.dtype)
        if self.scalar:
            value = 2 * x[..., None].astype(self.dtype) / (self.bins - 1) - 1
            return product(value * heard, kernel, self.step_by_step)
        return kernel[jnp.maximum(x, 0)] * heard


class GatedLayer(nn.Module):
    """z = tanh(W_f * x + V_f h) sigmoid(W_g * x + V_g h), a residual and a skip connection.

    Attributes:
      dilation, taps: of the causal convolution W.
      residual, gate, skip: channels of x, of z, and of what goes to the output.
      global_features, local_features: of h; 0 for none.
      last: the last layer's x is not used, so it has no residual connection.
    """

    dilation: int
    taps: int
    residual: int
    gate: int
    skip: int
    global_features: int = 0
    local_features: int = 0
    last: bool = False
    step_by_step: bool = False

    def setup(self):
        both = 2 * self.gate
        init = nn.initializers.variance_scaling(1.0, "fan_in", "normal", in_axis=(0, 1))
        self.kernel = self.param("dilated", init, (self.taps, self.residual, both))
        self.bias = self.param("bias", nn.initializers.zeros, (both,))
        lecun = nn.initializers.lecun_normal()
        if self.global_features:
            self.global_kernel = self.param("global", lecun, (self.global_features, both))
        if self.local_features:
            self.local_kernel = self.param("local", lecun, (self.local_features, both))
        self.to_skip = Pointwise(self.skip, self.step_by_step)
        if not self.last:
            self.to_residual = Pointwise(self.residual, self.step_by_step)

    def offset(self, speaker: Array | None) -> Array:
        """What the gates are offset by at all times, `[B, 2 D]` or `[2 D]`: b + V h."""
        if speaker is None or not self.global_features:
            return self.bias
        return self.bias + speaker @ self.global_kernel

    def __call__(
        self, taps: Sequence[Array], offset: Array, local: Array | None
    ) -> tuple[Array, Array]:
        """Returns the next layer's x, and this one's share of the output.

        Args:
          taps: x at each tap, the present last, `[B, T, C]` or `[B, C]`.
          offset: of `offset`, so that it adds to the product.
          local: h `[B, T, L]` or `[B, L]`.
        """
        x = taps[-1]
        parts = [product(x, w, self.step_by_step) for x, w in zip(taps, self.kernel, strict=True)]
        total = sum(parts[1:], parts[0])
        if self.local_features:
            assert local is not None
            total = total + product(local, self.local_kernel, self.step_by_step)
        total = total + offset.astype(x.dtype)
        filtered, gated = jnp.split(total, 2, axis=-1)
        z = jnp.tanh(filtered) * nn.sigmoid(gated)
        return (x if self.last else x + self.to_residual(z)), self.to_skip(z)


class Upsampling(nn.Module):
    """Frames to samples by transposed convolutions, which begin as copies of the nearest frame.

    Each has a filter of twice its stride, so that neighbouring frames can blend.

    Attributes:
      strides: their product is the number of samples of a frame.
    """

    strides: Sequence[int]

    @nn.compact
    def __call__(self, frames: Array) -> Array:
        """`[B, F, L]` to `[B, F prod(strides), L]`."""
        x = frames
        for index, stride in enumerate(self.strides):
            features, margin = x.shape[-1], stride // 2

            def nearest(key, shape, dtype=jnp.float32, stride=stride, margin=margin):
                place = jnp.arange(shape[0])
                inside = (place >= margin) & (place < margin + stride)
                return inside[:, None, None] * jnp.eye(shape[1], dtype=dtype)

            shape = (2 * stride, features, features)
            kernel = self.param(f"kernel_{index}", nearest, shape).astype(x.dtype)
            # Output i stride + k - margin gets x_i kernel_k: two halves, one frame apart.
            both = jnp.einsum("bfl,klm->bfkm", x, kernel)
            first, second = both[:, :, :stride], both[:, :, stride:]
            wide = jnp.pad(first, [(0, 0), (0, 1), (0, 0), (0, 0)])
            wide = wide + jnp.pad(second, [(0, 0), (1, 0), (0, 0), (0, 0)])
            flat = wide.reshape(len(x), -1, features)
            x = flat[:, margin : margin + x.shape[1] * stride]
        return x


class FrameHead(nn.Module):
    """Classes of frames: the mean over a frame's samples, then convolutions that see both sides.

    Attributes:
      hop: samples of a frame.
      features, classes: of the convolutions, and how many classes there are.
    """

    hop: int
    features: int
    classes: int

    @nn.compact
    def __call__(self, x: Array) -> Array:
        """`[B, F hop, S]` to logits `[B, F, classes]`."""
        x = x.reshape(len(x), -1, self.hop, x.shape[-1]).mean(2)
        for _ in range(2):
            x = nn.relu(nn.Conv(self.features, (3,), dtype=x.dtype)(x))
        return nn.Dense(self.classes, dtype=x.dtype)(x).astype(jnp.float32)


class ContextStack(nn.Module):
    """A smaller stack over means of `factor` samples, which conditions a larger one (section 2.6).

    Sample t gets what it made of the blocks of samples that ended before t's own block.

    Attributes:
      bins: of a sample.
      factor: samples in a block.
      features: channels throughout.
      dilations, taps: of its layers, in blocks.
    """

    bins: int
    factor: int
    features: int
    dilations: Sequence[int]
    taps: int
    step_by_step: bool
    dtype: Any

    def setup(self):
        init = nn.initializers.normal(1.0)
        self.embedding = self.param("embedding", init, (self.bins, self.features))
        self.layers = [
            GatedLayer(
                dilation,
                self.taps,
                *(self.features,) * 3,
                last=index == len(self.dilations) - 1,
                step_by_step=self.step_by_step,
            )
            for index, dilation in enumerate(self.dilations)
        ]

    def embed(self, samples: Array) -> Array:
        """`[..., C]` of samples; zero for no sample. One-hot samples are weighted sums."""
        table = self.embedding.astype(self.dtype)
        if not jnp.issubdtype(samples.dtype, jnp.integer):
            return samples.astype(self.dtype) @ table
        return table[jnp.maximum(samples, 0)] * (samples >= 0)[..., None].astype(self.dtype)

    def __call__(self, samples: Array) -> Array:
        """Samples `[B, T]`, or one-hot `[B, T, Q]`, to local conditioning `[B, T, C]`."""
        length = samples.shape[1]
        x = self.embed(samples)
        x = jnp.pad(x, [(0, 0), (0, -length % self.factor), (0, 0)])
        # Added up in the order in which samples arrive, as generation has to.
        blocks = x.reshape(len(x), -1, self.factor, self.features)
        x = functools.reduce(jnp.add, (blocks[:, :, i] for i in range(self.factor)))
        x = x / self.factor
        total = jnp.zeros((), x.dtype)
        for layer in self.layers:
            x, skip = layer(taps_of(x, self.taps, layer.dilation), layer.offset(None), None)
            total = total + skip
        before = delayed(nn.relu(total), 1)
        return jnp.repeat(before, self.factor, 1)[:, :length]

    def initial(self, batch: int) -> dict[str, Any]:
        """The state before the first sample."""
        zeros = jnp.zeros((batch, self.features), self.dtype)
        return {
            "sum": zeros,
            "now": zeros,
            "queues": [
                Queue(jnp.zeros((batch, (self.taps - 1) * d, self.features), self.dtype))
                for d in self.dilations
            ],
        }

    def step(self, state: dict[str, Any], previous: Array, t: Array) -> dict[str, Any]:
        """The state of sample t, whose "now" `[B, C]` it is conditioned on.

        Args:
          state: of sample t - 1.
          previous: sample t - 1 `[B]`.
          t: from 0.
        """
        state = {**state, "sum": state["sum"] + self.embed(previous)}

        def end_block(stack: ContextStack, state: dict[str, Any]) -> dict[str, Any]:
            block = t // stack.factor - 1
            x, total, queues = state["sum"] / stack.factor, jnp.zeros((), stack.dtype), []
            for layer, queue in zip(stack.layers, state["queues"], strict=True):
                taps = queue.taps(x, block, stack.taps, layer.dilation)
                queues.append(queue.pushed(x, block))
                x, skip = layer(taps, layer.offset(None), None)
                total = total + skip
            return {"sum": jnp.zeros_like(state["sum"]), "now": nn.relu(total), "queues": queues}

        ended = (t % self.factor == 0) & (t > 0)
        return nn.cond(ended, end_block, lambda stack, state: state, self, state)


class WaveNet(nn.Module):
    """The network; its defaults are not the paper's, which does not say its sizes.

    Attributes:
      bins: Q, values of a sample.
      dilations: of each layer, such as 1, 2, 4, ..., 512, 1, 2, ...
      taps: width of the filters.
      input_taps: width of the first, undilated one.
      residual, gate, skip, head: channels of x, of z, of the skip connections, and of the layer
        before the softmax.
      scalar_input: whether a sample is one number, in place of a one-hot vector.
      speakers, speaker_features: of the global conditioning; 0 speakers for none.
      local_features: of each frame of the local conditioning; 0 for none.
      strides: of the upsampling of frames; their product is the samples of a frame.
      classes: of frames, which a head of `class_features` channels tells; 0 for none.
      context_factor, context_features, context_dilations: of a `ContextStack`; 0 for none.
      step_by_step: see `product`.
      dtype: of what lies between the layers.
    """

    bins: int = 256
    dilations: Sequence[int] = tuple(2**i for i in range(10))
    taps: int = 2
    input_taps: int = 2
    residual: int = 32
    gate: int = 32
    skip: int = 32
    head: int = 32
    scalar_input: bool = False
    speakers: int = 0
    speaker_features: int = 16
    local_features: int = 0
    strides: Sequence[int] = (4, 4, 5)
    classes: int = 0
    class_features: int = 32
    context_factor: int = 0
    context_features: int = 16
    context_dilations: Sequence[int] = (1, 2, 4, 8)
    step_by_step: bool = False
    dtype: Any = jnp.float32

    def setup(self):
        self.input = InputConvolution(
            self.bins,
            self.residual,
            self.input_taps,
            self.scalar_input,
            self.step_by_step,
            self.dtype,
        )
        if self.speakers:
            self.speaker_table = nn.Embed(self.speakers, self.speaker_features)
        if self.local_features:
            self.upsampling = Upsampling(self.strides)
        if self.context_factor:
            self.context = ContextStack(
                self.bins,
                self.context_factor,
                self.context_features,
                self.context_dilations,
                self.taps,
                self.step_by_step,
                self.dtype,
            )
        self.layers = [
            GatedLayer(
                dilation,
                self.taps,
                self.residual,
                self.gate,
                self.skip,
                self.speaker_features if self.speakers else 0,
                self.condition_features,
                last=index == len(self.dilations) - 1,
                step_by_step=self.step_by_step,
            )
            for index, dilation in enumerate(self.dilations)
        ]
        self.before_last = Pointwise(self.head, self.step_by_step)
        self.last = Pointwise(self.bins, self.step_by_step)
        if self.classes:
            hop = 1
            for stride in self.strides:
                hop *= stride
            self.frame_head = FrameHead(hop, self.class_features, self.classes)

    @property
    def condition_features(self) -> int:
        """Channels of what layers get beside their input, at every sample."""
        return self.local_features + (self.context_features if self.context_factor else 0)

    @property
    def receptive_field(self) -> int:
        """How many of the samples before t sample t's logits depend on, but for a context stack."""
        return 1 + (self.input_taps - 1) + (self.taps - 1) * sum(self.dilations)

    def conditions(
        self, speaker: Array | None, local: Array | None
    ) -> tuple[list[Array], Array | None]:
        """What is the same however samples are drawn: offsets of each layer, and frames upsampled.

        Args:
          speaker: `[B]` int32.
          local: frames `[B, F, L]`.
        """
        embedded = self.speaker_table(speaker) if self.speakers else None
        offsets = [layer.offset(embedded) for layer in self.layers]
        if not self.local_features:
            return offsets, None
        assert local is not None
        return offsets, self.upsampling(local.astype(self.dtype))

    def __call__(
        self, samples: Array, speaker: Array | None = None, local: Array | None = None
    ) -> tuple[Array, dict[str, Array]]:
        """Logits `[B, T, Q]` of samples, each from those before it.

        Args:
          samples: `[B, T]` int32, or one-hot `[B, T, Q]`, through which gradients go.
          speaker: `[B]` int32.
          local: frames `[B, F, L]`; frame i is that of samples i hop to (i + 1) hop.

        Returns:
          The logits, and "classes" `[B, F, K]` where there are any.
        """
        offsets, upsampled = self.conditions(speaker, local)
        return self.given(samples, offsets, upsampled)

    def given(
        self, samples: Array, offsets: Sequence[Array], upsampled: Array | None
    ) -> tuple[Array, dict[str, Array]]:
        """As `__call__`, of what `conditions` gives."""
        integers = jnp.issubdtype(samples.dtype, jnp.integer)
        fill = -1 if integers else 0
        # The one shift: what logits_t see of the samples ends with x_{t-1}.
        x = self.input(taps_of(delayed(samples, 1, fill), self.input_taps, 1, fill))
        extra = [upsampled] if upsampled is not None else []
        if self.context_factor:
            extra.append(self.context(samples))
        condition = jnp.concatenate(extra, -1) if extra else None
        total = jnp.zeros((), self.dtype)
        for layer, offset in zip(self.layers, offsets, strict=True):
            offset = offset[:, None] if offset.ndim == 2 else offset
            x, skip = layer(taps_of(x, self.taps, layer.dilation), offset, condition)
            total = total + skip
        more = {"classes": self.frame_head(nn.relu(total))} if self.classes else {}
        return self.output(total), more

    def output(self, total: Array) -> Array:
        """Logits of the summed skip connections: ReLU, 1x1, ReLU, 1x1."""
        return self.last(nn.relu(self.before_last(nn.relu(total)))).astype(jnp.float32)

    def initial_queues(self, batch: int) -> dict[str, Any]:
        """Queues before the first sample: as training has it, nothing is zero in every layer."""
        queues: dict[str, Any] = {
            "input": Queue(jnp.full((batch, self.input_taps - 1), -1, jnp.int32)),
            "layers": [
                Queue(jnp.zeros((batch, (self.taps - 1) * d, self.residual), self.dtype))
                for d in self.dilations
            ],
        }
        if self.context_factor:
            queues["context"] = self.context.initial(batch)
        return queues

    def step(
        self,
        queues: dict[str, Any],
        previous: Array,
        t: Array,
        offsets: Sequence[Array],
        upsampled: Array | None,
    ) -> tuple[dict[str, Any], Array]:
        """Logits `[B, Q]` of sample t, and the queues after it.

        Args:
          queues: after sample t - 1.
          previous: sample t - 1 `[B]`, -1 before the first one.
          t: from 0.
          offsets: of `conditions`.
          upsampled: of `conditions`, at time t, `[B, L]`.
        """
        taps = queues["input"].taps(previous, t, self.input_taps, 1)
        after: dict[str, Any] = {"input": queues["input"].pushed(previous, t), "layers": []}
        extra = [upsampled] if upsampled is not None else []
        if self.context_factor:
            after["context"] = self.context.step(queues["context"], previous, t)
            extra.append(after["context"]["now"])
        condition = jnp.concatenate(extra, -1) if extra else None
        x = self.input(taps)
        total = jnp.zeros((), self.dtype)
        for layer, queue, offset in zip(self.layers, queues["layers"], offsets, strict=True):
            taps = queue.taps(x, t, self.taps, layer.dilation)
            after["layers"].append(queue.pushed(x, t))
            x, skip = layer(taps, offset, condition)
            total = total + skip
        return after, self.output(total)
