"""Relation networks (Santoro et al. 2017, arXiv:1706.01427), and what makes objects for them.

`RelationNetwork` is the module itself and `FlattenedMLP` its rival: both take objects `[B, n, D]`
and questions `[B, Q, E]` about them, and give logits `[B, Q, K]`. `ConvObjects` makes objects of
the cells of an image's feature maps, `SentenceReader` one of each sentence. `Reasoner` puts them
together. What several questions share (maps of an image, products with its objects) is computed
once.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
from flax.linen.dtypes import promote_dtype

from research.nn.recurrent import RNN, LSTMCell

Dtype = Any


class PairLayer(nn.Module):
    """A linear layer of every ordered pair and a question: W [o_i, o_j, q] + b.

    It is linear in each part, so that three small products are added in place of one with n^2
    concatenations: W_1 o_i + W_2 o_j + (W_3 q + b).

    Attributes:
      features: H.
    """

    features: int
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, objects: jax.Array, questions: jax.Array) -> jax.Array:
        """Objects `[B, n, D]` and questions `[B, Q, E]` to `[B, Q, n, n, H]`, i before j."""
        size, of_question = objects.shape[-1], questions.shape[-1]
        shape = (2 * size + of_question, self.features)
        kernel = self.param("kernel", nn.initializers.lecun_normal(), shape)
        bias = self.param("bias", nn.initializers.zeros_init(), (self.features,))
        objects, questions, kernel, bias = promote_dtype(
            objects, questions, kernel, bias, dtype=self.dtype
        )
        first, second, third = jnp.split(kernel, (size, 2 * size))
        of_i, of_j = objects @ first, objects @ second
        of_q = questions @ third + bias
        return of_i[:, None, :, None] + of_j[:, None, None] + of_q[:, :, None, None]


class Perceptron(nn.Module):
    """Hidden layers of ReLU, dropout after the last of them, and a linear layer."""

    widths: Sequence[int]
    outputs: int
    dropout: float = 0.0
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool = False) -> jax.Array:
        for i, width in enumerate(self.widths):
            x = nn.relu(nn.Dense(width, dtype=self.dtype, name=f"hidden{i}")(x))
        x = nn.Dropout(self.dropout)(x, deterministic=not train)
        return nn.Dense(self.outputs, dtype=self.dtype, name="logits")(x).astype(jnp.float32)


class RelationNetwork(nn.Module):
    """RN(O, q) = f(sum_{i,j} g(o_i, o_j, q)), over all ordered pairs, i = j among them (section 2).

    Attributes:
      g: widths of g, all layers ReLU.
      f: widths of f's hidden layers.
      num_answers: K.
      dropout: see `Perceptron`, of f.
    """

    g: Sequence[int]
    f: Sequence[int]
    num_answers: int
    dropout: float = 0.0
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(
        self,
        objects: jax.Array,
        questions: jax.Array,
        present: jax.Array | None = None,
        *,
        train: bool = False,
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Logits of answers.

        Args:
          objects: `[B, n, D]`.
          questions: `[B, Q, E]`.
          present: `[B, n]` bool, False for padding, whose pairs do not count; None for no padding.
          train: dropout on (needs a "dropout" key).

        Returns:
          Logits `[B, Q, K]`, and "relations" `[B, Q, H]`, the sum over pairs.
        """
        first, *rest = self.g
        pairs = nn.relu(PairLayer(first, dtype=self.dtype, name="g0")(objects, questions))
        for i, width in enumerate(rest, 1):
            pairs = nn.relu(nn.Dense(width, dtype=self.dtype, name=f"g{i}")(pairs))
        if present is not None:
            both = present[:, None, :, None, None] & present[:, None, None, :, None]
            pairs = jnp.where(both, pairs, 0)
        relations = pairs.sum((2, 3))
        f = Perceptron(self.f, self.num_answers, self.dropout, dtype=self.dtype, name="f")
        return f(relations, train=train), {"relations": relations}


class FlattenedMLP(nn.Module):
    """The rival: all objects side by side, and the question, to an MLP.

    Attributes:
      widths: of its hidden layers.
      num_answers, dropout: as for `RelationNetwork`.
    """

    widths: Sequence[int]
    num_answers: int
    dropout: float = 0.0
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(
        self,
        objects: jax.Array,
        questions: jax.Array,
        present: jax.Array | None = None,
        *,
        train: bool = False,
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """As `RelationNetwork`, but for what it returns beside the logits: nothing."""
        if present is not None:
            objects = jnp.where(present[..., None], objects, 0)
        flat = objects.reshape(len(objects), 1, -1)
        shape = (*questions.shape[:2], flat.shape[-1])
        x = jnp.concatenate([jnp.broadcast_to(flat, shape), questions], -1)
        mlp = Perceptron(self.widths, self.num_answers, self.dropout, dtype=self.dtype, name="mlp")
        return mlp(x, train=train), {}


def cell_coordinates(height: int, width: int) -> jax.Array:
    """Where the cells of a map are, (x, y) from -1 to 1: `[height * width, 2]`, row by row."""
    y, x = jnp.meshgrid(jnp.linspace(-1, 1, height), jnp.linspace(-1, 1, width), indexing="ij")
    return jnp.stack([x.ravel(), y.ravel()], -1)


class ConvObjects(nn.Module):
    """An object for each cell of the last feature maps, with its coordinates.

    Convolutions of 3x3 with stride 2, each followed by ReLU and batch normalization.

    Attributes:
      channels: kernels of each convolution.
    """

    channels: Sequence[int]
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, image: jax.Array, *, train: bool = False) -> jax.Array:
        """uint8 `[B, S, S, 3]` to `[B, n, channels + 2]`; changes "batch_stats" in training."""
        x = image.astype(self.dtype) / 255
        for i, channels in enumerate(self.channels):
            convolution = nn.Conv(channels, (3, 3), 2, dtype=self.dtype, name=f"conv{i}")
            x = nn.relu(convolution(x))
            norm = nn.BatchNorm(momentum=0.9, dtype=self.dtype, name=f"norm{i}")
            x = norm(x, use_running_average=not train)
        batch, height, width, _ = x.shape
        place = jnp.broadcast_to(cell_coordinates(height, width), (batch, height * width, 2))
        return jnp.concatenate([x.reshape(batch, height * width, -1), place.astype(x.dtype)], -1)


class SentenceReader(nn.Module):
    """An LSTM's last output after the words of a sentence.

    Attributes:
      units: of the LSTM.
    """

    units: int

    @nn.compact
    def __call__(self, words: jax.Array, lengths: jax.Array) -> jax.Array:
        """Word vectors `[..., T, D]` of sentences of `lengths` `[...]` words to `[..., units]`."""
        before = words.shape[:-2]
        flat = words.reshape(-1, *words.shape[-2:])
        rnn = RNN(functools.partial(LSTMCell, self.units), name="lstm")
        found = rnn(flat, lengths=lengths.reshape(-1))
        return found.carry[-1][0][1].reshape(*before, self.units)


class Reasoner(nn.Module):
    """What is seen and what is asked to an answer.

    Attributes:
      core: `RelationNetwork` or `FlattenedMLP`.
      channels: of `ConvObjects`, where an image is given.
      vocab_size, embedding_size: of words, 0 being none, where words are given.
      sentence_units, question_units: of the LSTM that reads each.
      num_tags: positions that sentences can be tagged with.
    """

    core: nn.Module
    channels: Sequence[int] = ()
    vocab_size: int = 0
    embedding_size: int = 0
    sentence_units: int = 0
    question_units: int = 0
    num_tags: int = 0
    dtype: Dtype = jnp.float32

    def setup(self) -> None:
        self.conv = ConvObjects(self.channels, dtype=self.dtype)
        self.embed = nn.Embed(self.vocab_size, self.embedding_size)
        self.read_sentence = SentenceReader(self.sentence_units)
        self.read_question = SentenceReader(self.question_units)

    def __call__(
        self, inputs: Mapping[str, jax.Array], *, train: bool = False
    ) -> tuple[jax.Array, dict[str, jax.Array]]:
        """Logits `[B, Q, K]`, and what `core` returns beside them.

        Args:
          inputs: "question", bits `[B, Q, E]` float or words `[B, Q, T]` int, 0 after the last; and
            one of "objects" `[B, n, D]`, "image" uint8 `[B, S, S, 3]`, and "sentences" `[B, n, T]`
            with "offset" `[B]`, the tag of the first. "present" `[B, n]` where there is padding.
          train: dropout and the batch's own statistics on.
        """
        question = inputs["question"]
        if jnp.issubdtype(question.dtype, jnp.integer):
            question = self.read(question, self.read_question)
        if "image" in inputs:
            objects = self.conv(inputs["image"], train=train)
        elif "sentences" in inputs:
            objects = self.tagged_sentences(inputs["sentences"], inputs["offset"])
        else:
            objects = inputs["objects"]
        return self.core(objects, question, inputs.get("present"), train=train)

    def read(self, tokens: jax.Array, reader: SentenceReader) -> jax.Array:
        """`[..., T]` words to `[..., units]`."""
        return reader(self.embed(tokens), (tokens > 0).sum(-1))

    def tagged_sentences(self, sentences: jax.Array, offset: jax.Array) -> jax.Array:
        """What was read in each sentence, and which position it has: `[B, n, units + num_tags]`."""
        position = offset[:, None] + jnp.arange(sentences.shape[1])
        tags = jax.nn.one_hot(position, self.num_tags)
        return jnp.concatenate([self.read(sentences, self.read_sentence), tags], -1)
