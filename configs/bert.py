"""BERT: `python experiments/bert.py --config configs/bert.py`

Default: invented stories (nothing is downloaded). BERT is pre-trained on 4,000 of them, then
fine-tuned to judge people from 16 labels, and to answer questions by spans of a story. Beside it:
the same network that reads from left to right, one whose chosen words are always masked, and one
that learns the tasks from scratch.

    python experiments/bert.py --config configs/bert.py:imdb --config.data.dir=DIR

Variants on real text need in DIR: `:imdb` TFDS's imdb_reviews; `:mr`, `:atis` and `:squad_dev`
that and movie_review_mr/, atis/ or squad_dev/; `:ptb` ptb/; `:multi30k` multi30k_en_de/. Released
weights, and a vocabulary in a file, which `paper` and `large` need in any case:

    python experiments/bert.py --config configs/bert.py:paper --config.pretraining.num_steps=1
        --config.pretraining.learning_rate=0 --config.init_from=model.safetensors
        --config.data.vocabulary=vocab.txt

Expect 92.7 % on SST-2 and 88.5 F1 on SQuAD 1.1 (the base size, development sets).
"""

from __future__ import annotations

from ml_collections import ConfigDict

from configs import common
from research.models.sizes import BERT as MODELS
from research.schema import any_number, non_negative, one_of, positive

ALLOWED = {
    "pretraining.objective": one_of("masked", "left_to_right"),
    "span_task.null_threshold": any_number,
    "data.lines": non_negative,
    "eval.pairs": positive,
}

# Questions of SQuAD's development set up to the end of an article.
SQUAD_TRAIN, SQUAD_VALIDATION = 8231, 9309

# Rates of pre-training, and % of the hidden words of validation stories that are right, seed 10.
TRIED = {
    "bert": "0.002: 82.4 after 1,200 of 1,500 steps",
    "left_to_right": "0.001: 62.9; 0.002: 64.0; 0.004: 65.1; 0.008: 63.8 (600 steps)",
    "always_masked": "as bert, not searched",
    "from_scratch": "rates of fine-tuning as bert's, not searched",
}


def get_config(variant: str = "") -> ConfigDict:
    config = common.base()
    no_tasks = {"text_task.name": "", "span_task.name": ""}
    config.arms.bert = {}
    config.arms.left_to_right = {
        **no_tasks,
        "pretraining.objective": "left_to_right",
        "pretraining.learning_rate": 4e-3,
        "pretraining.next_sentence_weight": 0.0,
    }
    config.arms.always_masked = {
        **no_tasks,
        "pretraining.masked_share": 1.0,
        "pretraining.replaced_share": 0.0,
    }
    # One step at a rate of 0 teaches nothing.
    config.arms.from_scratch = {"pretraining.num_steps": 1, "pretraining.learning_rate": 0.0}
    config.log_every_steps = 100
    config.eval_every_steps = 500
    config.seeds = (1, 2, 3)
    config.accumulate_steps = 1  # micro-batches in one step, of all phases
    config.max_grad_norm = 1.0  # of all phases

    config.model = ConfigDict(
        {
            "vocab_size": 720,
            "layers": 2,
            "dim": 64,
            "num_heads": 4,
            "head_dim": 16,
            "hidden": 256,
            "max_length": 128,
            "segments": 2,
            "dropout": 0.0,
            "attention_dropout": 0.0,
            "init_std": 0.05,
            "remat": "",
        }
    )
    config.optimizer = ConfigDict({"b1": 0.9, "b2": 0.999, "eps": 1e-6, "weight_decay": 0.01})
    config.pretraining = ConfigDict(
        {
            "objective": "masked",
            "num_steps": 2000,
            "rows": 32,
            "learning_rate": 2e-3,
            "warmup_steps": 100,
            "short_share": 0.0,  # of the steps, with rows of `short_length`
            "short_length": 16,
            "short_predictions": 3,
            "length": 32,
            "predictions": 6,
            "next_sentence_weight": 1.0,
            "chosen_share": 0.15,  # of the words
            "masked_share": 0.8,  # of the chosen ones
            "replaced_share": 0.1,
            "random_next_share": 0.5,  # 0: no pairs where there is one sentence alone
            "short_pair_share": 0.1,
            "repeat_epochs": 10,  # after which the same words are hidden again
        }
    )
    task = {
        "num_steps": 100,
        "rows": 16,
        "learning_rate": 5e-4,
        "warmup_share": 0.1,  # of the steps
        "examples": 0,  # to train on; 0: all
        "eval_examples": 0,  # to choose by, and as many to be tested with; 0: all
        "train_split": "train",
        "validation_split": "validation",
        "test_split": "test",
    }
    config.text_task = ConfigDict(
        {**task, "name": "stories/judgements", "examples": 16, "eval_examples": 500, "length": 32}
    )
    config.span_task = ConfigDict(
        {
            **task,
            "name": "stories/questions",
            "num_steps": 300,
            "examples": 500,
            "eval_examples": 200,
            "length": 32,
            "stride": 10,
            "question_length": 12,
            "null_threshold": 1e9,  # tau; this much where every question has an answer
        }
    )
    config.data.update(
        {
            "name": "stories",  # or a name for data.load, of text without labels
            "train_split": "train",
            "validation_split": "validation",
            "test_split": "test",
            "feature": "text",  # of a record, that is read
            "lines": 0,  # records that are one document; 0: each record is one
            "stories": 4000,  # of "stories", to learn from
            "test_stories": 300,  # to choose by, and as many to be tested with
            "vocabulary": "",  # vocab.txt or tokenizer.json; "": learned from the text
        }
    )
    config.eval = ConfigDict({"rows": 64, "pairs": 400, "collator_tokens": 1_000_000})
    # Sentences of the demo; none: texts of the test split.
    config.probes = (
        "kamila goes to the sandy [MASK] . people call her [MASK] and greet her .",
        "bruno is a [MASK] shepherd from [MASK] lhasa .",
        "the green [MASK] of emil eats [MASK] figs .",
    )
    return common.choose(config, VARIANTS, variant)


def smoke(config: ConfigDict) -> None:
    """Seconds; what the tests run."""
    common.keep_arms(config, "bert")
    config.check_claims = False
    config.seeds = (0,)
    config.log_every_steps = config.checkpoint_every_steps = 2
    config.eval_every_steps = 4
    config.model.update(layers=1, dim=16, num_heads=2, head_dim=8, hidden=32, dropout=0.1)
    config.pretraining.update(
        num_steps=4, rows=8, warmup_steps=2, short_share=0.5, short_length=16, length=24
    )
    config.data.update(stories=40, test_stories=20)
    few = {"num_steps": 2, "rows": 8, "examples": 16, "eval_examples": 8, "length": 24}
    config.text_task.update(few, name="stories/tags")
    config.span_task.update(few, stride=8)
    config.eval.update(rows=16, pairs=16, collator_tokens=2000)


def _small(config: ConfigDict) -> None:
    """A network for real text on a few cores; nothing is claimed of it."""
    config.probes = ()
    config.check_claims = False
    config.eval_every_steps = 2000
    config.model.update(
        vocab_size=8000, layers=4, dim=128, head_dim=32, hidden=512, max_length=128, dropout=0.1
    )
    config.pretraining.update(
        num_steps=10_000,
        learning_rate=5e-4,
        warmup_steps=500,
        short_share=0.9,
        short_length=64,
        short_predictions=11,
        length=128,
        predictions=20,
    )
    config.text_task.update(name="", length=128, rows=32, learning_rate=2e-4, num_steps=400)
    config.span_task.update(name="")


def imdb(config: ConfigDict) -> None:
    """Pre-trained on IMDB's reviews, fine-tuned to 500 of their labels, and from scratch."""
    _small(config)
    common.keep_arms(config, "bert", "from_scratch")
    config.data.update(
        name="imdb_reviews", train_split="train[:90%]", validation_split="train[90%:]"
    )
    config.text_task.update(
        name="imdb_reviews",
        train_split="train[:90%]",
        validation_split="train[90%:]",
        examples=500,
        eval_examples=2000,
    )


def mr(config: ConfigDict) -> None:
    """As `:imdb`, fine-tuned to 500 sentences of Pang and Lee (2005)."""
    imdb(config)
    config.text_task.update(
        name="movie_review_mr",
        train_split="train[:80%]",
        validation_split="train[80%:90%]",
        test_split="train[90%:]",
        length=64,
    )


def atis(config: ConfigDict) -> None:
    """As `:imdb`, fine-tuned to tag the words of questions about flights."""
    imdb(config)
    config.text_task.update(
        name="atis", train_split="train", validation_split="validation", length=64
    )


def squad_dev(config: ConfigDict) -> None:
    """As `:imdb`, fine-tuned to SQuAD's development set, which is split by article."""
    imdb(config)
    config.text_task.update(name="")
    config.span_task.update(
        name="squad",
        num_steps=2000,
        rows=32,
        learning_rate=2e-4,
        train_split=f"validation[:{SQUAD_TRAIN}]",
        validation_split=f"validation[{SQUAD_TRAIN}:{SQUAD_VALIDATION}]",
        test_split=f"validation[{SQUAD_VALIDATION}:]",
        examples=0,
        eval_examples=500,
        length=128,
        stride=48,
        question_length=32,
    )


def ptb(config: ConfigDict) -> None:
    """Hidden words of the Penn Treebank, twenty lines a document, against left to right."""
    _small(config)
    common.keep_arms(config, "bert", "left_to_right")
    config.data.update(name="ptb", lines=20)


def multi30k(config: ConfigDict) -> None:
    """Hidden words of 29,000 English captions, against left to right; no pairs."""
    _small(config)
    common.keep_arms(config, "bert", "left_to_right")
    config.arms.left_to_right.pop("pretraining.next_sentence_weight")
    config.model.vocab_size = 3000
    config.pretraining.update(
        num_steps=2000,
        rows=64,
        short_share=0.0,
        length=32,
        predictions=6,
        next_sentence_weight=0.0,
        random_next_share=0.0,
    )
    config.data.update(name="multi30k_en_de", feature="en", lines=1)


def paper(config: ConfigDict) -> None:
    """BERT base at the published sizes and schedule; fine-tuned to SST-2 and SQuAD 1.1."""
    _published(config, "base")


def large(config: ConfigDict) -> None:
    """As `:paper`, BERT large."""
    _published(config, "large")


def _published(config: ConfigDict, size: str) -> None:
    common.keep_arms(config, "bert")
    config.check_claims = False
    config.published_as = size
    config.probes = ("The capital of France is [MASK].", "She [MASK] the book and [MASK] home.")
    config.compute_dtype = "bfloat16"
    config.eval_every_steps, config.checkpoint_every_steps = 50_000, 10_000
    config.model.update(MODELS[size])
    config.pretraining.update(
        num_steps=1_000_000,
        rows=256,
        learning_rate=1e-4,
        warmup_steps=10_000,
        short_share=0.9,
        short_length=128,
        short_predictions=20,
        length=512,
        predictions=80,
    )
    config.data.update(name="wiki40b/en")
    # Three epochs each; of the paper's rates, 5e-5 to 2e-5, the best one is chosen by task.
    config.text_task.update(
        name="glue/sst2",
        num_steps=6314,
        rows=32,
        learning_rate=2e-5,
        train_split="train[:99%]",
        validation_split="train[99%:]",
        test_split="validation",
        examples=0,
        eval_examples=0,
        length=128,
    )
    config.span_task.update(
        name="squad/v1.1",
        num_steps=8212,
        rows=32,
        learning_rate=5e-5,
        train_split="train[:99%]",
        validation_split="train[99%:]",
        test_split="validation",
        examples=0,
        eval_examples=0,
        length=384,
        stride=128,
        question_length=64,
    )


VARIANTS = {
    "smoke": smoke,
    "imdb": imdb,
    "mr": mr,
    "atis": atis,
    "squad_dev": squad_dev,
    "ptb": ptb,
    "multi30k": multi30k,
    "paper": paper,
    "large": large,
}
