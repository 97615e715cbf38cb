"""GPT-1, pre-training and fine-tuning: `python experiments/gpt1.py --config configs/gpt1.py`

The default pre-trains on the standard library's source (2,000 steps of 16 rows of 100 bytes), and
asks which of two endings of 32 characters follows 64 of a module that it has never seen: 4,000
questions to fine-tune on, 2,000 to be tested with. Nine minutes on one shared core. Expect far
more right answers after pre-training than from nothing.

`paper` fine-tunes on SST-2; expect 91.3 % (table 4), from BooksCorpus, which is not available.
"""

from __future__ import annotations

from ml_collections import ConfigDict

from configs import common
from research.models.sizes import GPT as MODELS
from research.schema import non_negative

ALLOWED = {"pretraining.num_steps": non_negative}  # 0: from a random start


def get_config(variant: str = "") -> ConfigDict:
    config = common.base()
    config.arms.pretrained = {}
    config.arms.from_nothing = {"pretraining.num_steps": 0}
    config.log_every_steps = 50
    config.eval_every_steps = 100
    config.accumulate_steps = 1  # micro-batches in one step, of both phases
    config.max_grad_norm = 1.0  # in fine-tuning
    config.loss_chunks = 1  # pieces that the logits of pre-training are made in

    config.model = ConfigDict(
        {
            "vocab_size": 257,
            "layers": 4,
            "dim": 128,
            "num_heads": 4,
            "head_dim": 32,
            "hidden": 512,
            "max_length": 128,
            "dropout": 0.1,
            "attention_dropout": 0.1,
            "pre_norm": False,
            "init_std": 0.02,
            "position_std": 0.02,
            "remat": "",
        }
    )
    config.pretraining = ConfigDict(
        {
            "num_steps": 2000,
            "rows": 16,
            "learning_rate": 1e-3,
            "warmup_steps": 80,
            "b2": 0.999,
            "weight_decay": 0.01,
        }
    )
    config.finetuning = ConfigDict(
        {
            "num_steps": 300,
            "rows": 32,
            "learning_rate": 5e-4,
            "warmup_share": 0.05,  # of the steps
            "language_weight": 0.5,  # lambda of equation 5
            "b2": 0.999,
            "weight_decay": 0.01,
        }
    )
    config.data.update(
        {
            "text": "python_source",  # to pre-train on; a name for data.load
            "task": "endings",  # or a name in research.papers.gpt1.text_tasks.FORMS
            "context_characters": 64,  # of a question about endings
            "ending_characters": 32,
            "train_questions": 4000,
            "test_questions": 2000,
            "test_split": "test",
            "length": 100,  # tokens
            "vocabulary": "bytes",
            "overlap_words": 13,
        }
    )
    return common.choose(config, VARIANTS, variant)


def smoke(config: ConfigDict) -> None:
    """Seconds; what the tests run."""
    common.keep_arms(config, "pretrained")
    config.check_claims = False
    config.log_every_steps = config.checkpoint_every_steps = 2
    config.eval_every_steps = 4
    config.model.update(layers=2, dim=16, num_heads=2, head_dim=8, hidden=32, max_length=48)
    config.pretraining.update(num_steps=4, rows=8, warmup_steps=2)
    config.finetuning.update(num_steps=8, rows=8)
    config.data.update(
        context_characters=24,
        ending_characters=16,
        train_questions=40,
        test_questions=12,
        length=48,
    )


def paper(config: ConfigDict) -> None:
    """The published sizes; fine-tuned on SST-2."""
    config.check_claims = False
    config.published_as = "gpt1"
    config.compute_dtype = "bfloat16"
    config.log_every_steps, config.eval_every_steps = 100, 500
    config.loss_chunks = 4
    config.model.update(MODELS["gpt1"])
    # 100 epochs of BooksCorpus, 985 M words, whose number of tokens is not published.
    config.pretraining.update(num_steps=3_000_000, rows=64, learning_rate=2.5e-4, warmup_steps=2000)
    # Three epochs of 67,349 sentences.
    config.finetuning.update(num_steps=6314, rows=32, learning_rate=6.25e-5, warmup_share=0.002)
    config.data.update(
        text="wiki40b/en",
        task="glue/sst2",
        vocabulary="bpe",
        length=512,
        train_questions=67_349,
        test_questions=872,
        test_split="validation",
    )


VARIANTS = {"smoke": smoke, "paper": paper}
