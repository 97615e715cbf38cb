"""Policies that are told by a demonstration what to do (Duan et al., 2017, arXiv:1703.07326).

`AttentionPolicy` is the paper's for block stacking (section 4): demonstration, context and
manipulation network. It works for any number of things and any length of demonstration.
`RecurrentPolicy` are the baselines of its particle task: an LSTM reads the demonstration and a
multi-layer perceptron acts on its last state, or, with attention, on the one thing that the LSTM's
state points at. Fed a single frame, the last, it is the final-state variant.

Both are functions of a demonstration and Q scenes for each of N demonstrations; `embed` does what
depends on the demonstration alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.typing import Dtype

from research.nn.additive_attention import AdditiveScore, masked_softmax
from research.papers.one_shot_imitation.neighborhood_attention import (
    NeighborhoodAttention,
    with_robot,
)
from research.papers.one_shot_imitation.scenes import Demonstration, Scene

VARIANTS = ("attention", "lstm", "lstm_attention")


class DilatedConv(nn.Module):
    """Convolution over time, kernel 3, of each thing by itself; zeros beyond both ends.

    Attributes:
      features: of an output.
      dilation: frames between the inputs of the kernel.
    """

    features: int
    dilation: int
    dtype: Dtype | None = None

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """`[N, K, B, D]` to `[N, K, B, features]`, as a product of matrices: on CPUs a convolution
        inside `lax.scan` is slow."""
        d, length = self.dilation, x.shape[1]
        padded = jnp.pad(x, ((0, 0), (d, d), (0, 0), (0, 0)))
        taps = [padded[:, i * d : i * d + length] for i in range(3)]
        return nn.Dense(self.features, dtype=self.dtype)(jnp.concatenate(taps, axis=-1))


class DemonstrationNetwork(nn.Module):
    """Dilated convolutions over time and neighbourhood attention over things, in turns.

    Attributes:
      features: of each thing at each time.
      dilations: of the convolutions.
      heads: of every neighbourhood attention.
      size: of their queries.
    """

    features: int
    dilations: Sequence[int]
    heads: int
    size: int
    dtype: Dtype | None = None

    @nn.compact
    def __call__(self, demonstration: Demonstration) -> jax.Array:
        """Embedding `[N, K, B, features]`; 0 at frames that are not valid."""
        scene, valid = demonstration.scenes, demonstration.valid[..., None, None]
        hidden = nn.relu(nn.Dense(self.features, dtype=self.dtype)(with_robot(scene)))
        for dilation in self.dilations:
            conv = DilatedConv(self.features, dilation, self.dtype)
            hidden = hidden + nn.relu(conv(jnp.where(valid, hidden, 0)))
            look = NeighborhoodAttention(self.features, self.heads, self.size, self.dtype)
            hidden = hidden + nn.relu(look(hidden, scene))
        return jnp.where(valid, hidden, 0)


class ContextNetwork(nn.Module):
    """What matters now: a vector whose size depends neither on the number of things nor on the
    length of the demonstration.

    Several times, each with weights of its own: from every thing of the current scene a query is
    matched with that thing at all times of the demonstration; its weights summed over the things
    say which times are read; an LSTM cell takes in for each thing what it was then; neighbourhood
    attention passes it on. At last attention over the things finds the places of the few that
    matter.

    Attributes:
      features: of each thing.
      heads: of every attention over time and neighbourhood.
      size: of all queries.
      hops: how often the demonstration is read.
      pointers: heads of the last attention, each of which gives one place.
    """

    features: int
    heads: int
    size: int
    hops: int
    pointers: int
    dtype: Dtype | None = None

    @nn.compact
    def __call__(
        self, embedding: jax.Array, valid: jax.Array, scene: Scene
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Reads a demonstration in the light of the current scenes.

        Args:
          embedding: `[N, K, B, D]`, of the demonstration network.
          valid: `[N, K]`, frames that belong to the demonstration.
          scene: leaves `[N, Q, ...]`.

        Returns:
          Context `[N, Q, pointers * P]`, and the weights "over_time" `[N, Q, K, H]` of the last hop
          and "over_things" `[N, Q, B, pointers]`.
        """
        seen = with_robot(scene)
        hidden = nn.relu(nn.Dense(self.features, dtype=self.dtype)(seen))
        hidden = hidden + nn.relu(self._neighborhood()(hidden, scene))
        memory = hidden
        mask = (valid[:, None, :, None] & scene.present[:, :, None, :])[..., None]
        for _ in range(self.hops):
            score = AdditiveScore(self.heads, self.size, self.dtype)
            scores = score(hidden[:, :, None], embedding[:, None])
            over_time = masked_softmax(scores, mask, axis=(2, 3)).sum(axis=3)
            read = jnp.einsum("nqkh,nkbd->nqbhd", over_time.astype(hidden.dtype), embedding)
            read = jnp.concatenate([read.reshape(*hidden.shape[:-1], -1), seen], axis=-1)
            cell = nn.OptimizedLSTMCell(self.features, dtype=self.dtype)
            (memory, hidden), _ = cell((memory, hidden), read)
            hidden = hidden + nn.relu(self._neighborhood()(hidden, scene))
        point = AdditiveScore(self.pointers, self.size, self.dtype, name="pointers")
        scores = point(scene.robot[..., None, :], hidden)
        over_things = masked_softmax(scores, scene.present[..., None], axis=2)
        places = jnp.einsum("nqbh,nqbp->nqhp", over_things, scene.things)
        places = places.reshape(*places.shape[:2], -1)
        return places, {"over_time": over_time, "over_things": over_things}

    def _neighborhood(self) -> NeighborhoodAttention:
        return NeighborhoodAttention(self.features, self.heads, self.size, self.dtype)


class ManipulationNetwork(nn.Module):
    """What matters to an action: a multi-layer perceptron.

    Attributes:
      outputs: numbers of an action.
      hidden: units of the layers before.
    """

    outputs: int
    hidden: Sequence[int]
    dtype: Dtype | None = None

    @nn.compact
    def __call__(self, *parts: jax.Array) -> jax.Array:
        x = jnp.concatenate(parts, axis=-1)
        for units in self.hidden:
            x = nn.relu(nn.Dense(units, dtype=self.dtype)(x))
        return nn.Dense(self.outputs, dtype=self.dtype)(x).astype(jnp.float32)


class AttentionPolicy(nn.Module):
    """The paper's policy for block stacking (section 4).

    Attributes:
      outputs: numbers of an action.
      features, dilations, heads, size, hops, pointers, hidden: of the three networks.
    """

    outputs: int
    features: int
    dilations: Sequence[int]
    heads: int
    size: int
    hops: int
    pointers: int
    hidden: Sequence[int]
    dtype: Dtype | None = None

    def setup(self) -> None:
        self.demonstration = DemonstrationNetwork(
            self.features, self.dilations, self.heads, self.size, self.dtype
        )
        self.context = ContextNetwork(
            self.features, self.heads, self.size, self.hops, self.pointers, self.dtype
        )
        self.manipulation = ManipulationNetwork(self.outputs, self.hidden, self.dtype)

    def embed(self, demonstration: Demonstration) -> Any:
        return self.demonstration(demonstration), demonstration.valid

    def act(self, embedded: Any, scene: Scene) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Actions `[N, Q, outputs]` float32 in scenes with leaves `[N, Q, ...]`, and weights."""
        embedding, valid = embedded
        context, weights = self.context(embedding, valid, scene)
        return self.manipulation(context, scene.robot), {"context": context, **weights}

    def __call__(
        self, demonstration: Demonstration, scene: Scene
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        return self.act(self.embed(demonstration), scene)


class RecurrentPolicy(nn.Module):
    """The baselines of the particle task: an LSTM reads the demonstration.

    Attributes:
      outputs: numbers of an action.
      features: of the LSTM.
      attention: whether its state points at a thing.
      hidden: units of the perceptron.
    """

    outputs: int
    features: int
    attention: bool
    hidden: Sequence[int]
    dtype: Dtype | None = None

    def setup(self) -> None:
        cell = nn.OptimizedLSTMCell(self.features, dtype=self.dtype)
        self.lstm = nn.RNN(cell, return_carry=True)
        self.manipulation = ManipulationNetwork(self.outputs, self.hidden, self.dtype)
        # One score for each thing; how many there are at most is known with the first of them.
        self.scores = ThingScores(self.dtype) if self.attention else None

    def embed(self, demonstration: Demonstration) -> Any:
        scenes = demonstration.scenes
        (_, state), _ = self.lstm(_flat(scenes), seq_lengths=demonstration.valid.sum(axis=1))
        return self.scores(state, scenes.present.shape[-1]) if self.scores else state

    def act(self, embedded: Any, scene: Scene) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Acts as `AttentionPolicy.act` does; without attention there are no weights."""
        if not self.attention:
            state = jnp.broadcast_to(
                embedded[:, None], (*scene.robot.shape[:2], embedded.shape[-1])
            )
            return self.manipulation(state, _flat(scene)), {"context": state}
        weights = masked_softmax(embedded[:, None], scene.present, axis=-1)
        place = jnp.einsum("nqb,nqbp->nqp", weights, scene.things)
        return self.manipulation(place, scene.robot), {
            "context": place,
            "over_things": weights[..., None],
        }

    def __call__(
        self, demonstration: Demonstration, scene: Scene
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        return self.act(self.embed(demonstration), scene)


class ThingScores(nn.Module):
    """State `[N, F]` to a score `[N, B]` float32 of each thing."""

    dtype: Dtype | None = None

    @nn.compact
    def __call__(self, state: jax.Array, things: int) -> jax.Array:
        return nn.Dense(things, dtype=self.dtype)(state).astype(jnp.float32)


def _flat(scene: Scene) -> jax.Array:
    things = jnp.concatenate([scene.things, scene.present[..., None]], axis=-1)
    return jnp.concatenate([scene.robot, things.reshape(*things.shape[:-2], -1)], axis=-1)
