"""Jointly Learning to Align and Translate: looking for words, against one vector of a sentence.

    python experiments/bahdanau_attention.py --config configs/bahdanau_attention.py

Default: an invented language with a grammar of its own (research/data/procedural/translation.py),
sentences of up to 24 words, networks of 80 units. Nothing is downloaded.

    python experiments/bahdanau_attention.py --config configs/bahdanau_attention.py:multi30k
        --config.data.dir=DIR

DIR holds multi30k_en_de/ with the files of github.com/multi30k/dataset, data/task1/raw. Networks of
128 units are trained on captions of up to 11 words, and tested on longer ones too.

`:paper` is RNNsearch-50: 111 hours on one GPU of 2014 for 26.75 BLEU, 252 hours for 28.45. With
`--config.data.longest_bucket=31` it is RNNsearch-30, with `--config.model.alignment=0` RNNencdec.
"""

from ml_collections import ConfigDict

from configs import common


def get_config(variant: str = "") -> ConfigDict:
    config = common.base()
    config.arms.rnnencdec = {"model.alignment": 0}
    config.arms.rnnsearch = {}
    config.seeds = (0, 1, 2)
    config.num_steps = 600
    config.eval_every_steps = 150
    config.accumulate_steps = 1  # micro-batches in one step
    config.max_grad_norm = 1.0

    config.model = ConfigDict(
        {
            "embedding": 64,
            "units": 80,
            "maxout": 64,
            "alignment": 64,  # units of the alignment model; 0: one vector of a sentence
            # The paper's gain would be 0.035, which is 0.01 times the root of 1000 / 80. With 0.03
            # (and a rate of 0.004) RNNsearch is at 2.6 nats after 300 steps, with this at 1.1.
            "init_scale": 0.1,
        }
    )
    config.optimizer = ConfigDict(
        {
            "name": "adam",  # "adadelta" is the paper's
            # The best of 0.004, 0.008 and 0.016 for the rival without alignment. (Seed 100.)
            "learning_rate": 0.008,
        }
    )
    config.data.update(
        {
            "name": "procedural",  # or a name for data.load
            "source": "en",
            "target": "xx",
            "procedural_train": 20_000,  # pairs; other sets have their own splits
            "procedural_test": 200,  # pairs, and as many for validation
            "source_vocab": 220,  # words, with four special tokens
            "target_vocab": 1100,
            "sentences_per_batch": 48,
            "sorted_batches": 20,  # that are sorted by length together
            "shortest_bucket": 12,  # tokens
            "longest_bucket": 20,  # tokens; longer pairs are not trained on
            "bucket_growth": 1.7,
        }
    )
    config.beam = ConfigDict({"beam": 5, "alpha": 0.0, "extra_length": 8, "tokens_per_batch": 4096})
    config.length_edges = (5, 7, 9, 11, 14, 24)  # words of a source, upper ends of the ranges
    config.short_words = 8  # at most: a short sentence
    config.long_words = 13  # at least: a long one
    config.drawn_sentence = 1  # of the test sentences
    config.sentences = (  # of the demo
        "the old wizard watched the clever girl .",
        "the clever girl watched the old wizard .",
        "did the happy children visit the garden yesterday ?",
    )
    config.required_bleu = 50.0
    config.required_gap = 10.0
    return common.choose(config, VARIANTS, variant)


def smoke(config: ConfigDict) -> None:
    """Seconds; what the tests run."""
    common.keep_arms(config, "rnnsearch")
    config.check_claims = False
    config.seeds = (0,)
    config.num_steps, config.eval_every_steps, config.log_every_steps = 8, 4, 2
    config.checkpoint_every_steps = 4
    config.model.update(embedding=8, units=8, maxout=8, alignment=8, init_scale=0.1)
    config.data.update(
        procedural_train=200,
        procedural_test=20,
        sentences_per_batch=8,
        sorted_batches=4,
        shortest_bucket=28,
        longest_bucket=28,
    )
    config.beam.update(beam=2, tokens_per_batch=512)
    config.length_edges = (8, 24)
    config.short_words, config.long_words = 10, 11


def multi30k(config: ConfigDict) -> None:
    """Multi30k German to English: trained on captions of up to 11 words."""
    config.seeds = (0,)
    config.num_steps, config.eval_every_steps = 1280, 320
    config.model.update(embedding=96, units=128, maxout=96, alignment=128)
    config.optimizer.learning_rate = 0.002
    config.data.update(
        name="multi30k_en_de",
        source="de",
        target="en",
        source_vocab=4000,
        target_vocab=3000,
        shortest_bucket=12,
        longest_bucket=12,
    )
    config.length_edges = (8, 10, 12, 15, 20, 40)
    config.short_words, config.long_words = 11, 13
    config.sentences = (
        "Ein Mann fährt auf einem Fahrrad.",
        "Zwei Kinder spielen im Schnee.",
        "Eine Frau sieht einen Hund.",
    )
    config.required_bleu = 10.0


def paper(config: ConfigDict) -> None:
    """WMT14 English to French, RNNsearch-50: 1,000 units, 30,000 words, 80 sentences a batch."""
    common.single(config)
    config.published_as = "rnnsearch"
    config.num_steps = 288_000
    config.eval_every_steps = config.checkpoint_every_steps = 5000
    config.model.update(embedding=620, units=1000, maxout=500, alignment=1000, init_scale=0.01)
    config.optimizer.update(name="adadelta", learning_rate=1.0)
    config.data.update(
        name="wmt14_translate/fr-en",
        source="en",
        target="fr",
        source_vocab=30_000,
        target_vocab=30_000,
        sentences_per_batch=80,
        sorted_batches=20,
        shortest_bucket=11,
        longest_bucket=51,
        bucket_growth=1.25,
    )
    config.beam.update(beam=12, extra_length=50)
    config.length_edges = (10, 20, 30, 40, 50, 60)  # figure 2
    config.short_words, config.long_words = 20, 40
    config.sentences = (
        "The agreement on the European Economic Area was signed in August 1992 .",
        "It should be noted that the marine environment is the least known of environments .",
        "Destruction of the equipment means that Syria can no longer produce chemical weapons .",
    )
    config.required_bleu = 26.0


VARIANTS = {"smoke": smoke, "multi30k": multi30k, "paper": paper}
