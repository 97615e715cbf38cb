"""BERT: `python experiments/bert.py --config configs/bert.py`"""

from __future__ import annotations

from ml_collections import ConfigDict

from configs import common
from research.schema import any_number, non_negative, one_of, positive

ALLOWED = {
    "pretraining.objective": one_of("masked", "left_to_right"),
    "pretraining.num_steps": non_negative,  # 0: from a random start, or from `init_from`
    "span_task.null_threshold": any_number,
    "data.lines": non_negative,
    "eval.pairs": positive,
}


def get_config(variant: str = "") -> ConfigDict:
    config = common.base()
    no_tasks = {"text_task.name": "", "span_task.name": ""}
    config.arms.bert = {}
    config.arms.left_to_right = {
        **no_tasks,
        "pretraining.objective": "left_to_right",
        "pretraining.next_sentence_weight": 0.0,
    }
    config.arms.always_masked = {
        **no_tasks,
        "pretraining.masked_share": 1.0,
        "pretraining.replaced_share": 0.0,
    }
    config.arms.from_scratch = {"pretraining.num_steps": 0}
    config.log_every_steps = 100
    config.eval_every_steps = 500
    config.accumulate_steps = 1  # micro-batches in one step, of all phases
    config.max_grad_norm = 1.0  # of all phases

    config.model = ConfigDict(
        {
            "vocab_size": 550,
            "layers": 2,
            "dim": 64,
            "num_heads": 4,
            "head_dim": 16,
            "hidden": 256,
            "max_length": 128,
            "segments": 2,
            "dropout": 0.0,
            "attention_dropout": 0.0,
            "init_std": 0.1,
            "remat": "",
        }
    )
    config.optimizer = ConfigDict({"b1": 0.9, "b2": 0.999, "eps": 1e-6, "weight_decay": 0.01})
    config.pretraining = ConfigDict(
        {
            "objective": "masked",
            "num_steps": 1500,
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
    config.probes = ()
    return common.choose(config, VARIANTS, variant)


def smoke(config: ConfigDict) -> None:
    """Seconds; what the tests run."""
    common.keep_arms(config, "bert")


VARIANTS = {"smoke": smoke}
