"""GPT-1, GPT-2, GPT-3: `python experiments/gpt.py --config configs/gpt.py`

The default reads documents of keys and labels and downloads nothing: 1,500 steps, about 60 CPU
seconds a run. Two layers look a key's label up in the document; one layer, which cannot find the
earlier pair, stays behind. The rate stays high while the look-up forms, and positions start at 0.08
because with the papers' deviations it forms late in so narrow a network.

`tiny_shakespeare`, 1,500 steps of 16 x 128 bytes, three to seven minutes a seed, is compared with
counts of 4-grams.

`paper` and the sizes of GPT-3 train on wiki40b/en alone, where the paper mixes five sets: filtered
Common Crawl, WebText2, two of books and Wikipedia, 0.60, 0.22, 0.08, 0.08 and 0.03 of a batch.
Whoever has them gives data.names and data.weights.

The size 175B is laid out for 1,024 chips; to compile it for them:
`python experiments/gpt.py --config configs/gpt.py:gpt3_175b --dry_run v5p:8x8x16`.
"""

from __future__ import annotations

from typing import Any

from ml_collections import ConfigDict

from configs import common
from research.models.sizes import GPT as MODELS

_M, _B = 1_000_000, 1_000_000_000

# Table 2.1 of the GPT-3 paper: learning rate, and rows of 2,048 tokens in a full batch of 0.5, 1, 2
# or 3.2 M tokens. Then a mesh (fsdp, model) that holds the size, and what is worked out again.
_GPT3 = {
    "gpt3_small": (6.0e-4, 256, 1, 1, "dots"),
    "gpt3_medium": (3.0e-4, 256, 1, 1, "dots"),
    "gpt3_large": (2.5e-4, 256, 1, 1, "dots"),
    "gpt3_xl": (2.0e-4, 512, 8, 1, "block"),
    "gpt3_2.7b": (1.6e-4, 512, 16, 1, "block"),
    "gpt3_6.7b": (1.2e-4, 1024, 32, 1, "block"),
    "gpt3_13b": (1.0e-4, 1024, 64, 1, "block"),
    "gpt3_175b": (0.6e-4, 1600, 64, 16, "block"),
}


def get_config(variant: str = "") -> ConfigDict:
    config = common.base()
    config.arms.one_layer = {"model.layers": 1, "eval.exact": False}  # two layers' will do
    config.arms.two_layers = {}
    config.steps_per_call = 10
    config.log_every_steps = 100
    config.accumulate_steps = 1  # micro-batches in one step
    config.max_grad_norm = 1.0
    config.loss_chunks = 1  # pieces that the logits are made in; must divide data.length

    config.model = ConfigDict(
        {
            "vocab_size": 13,
            "layers": 2,
            "dim": 64,
            "num_heads": 2,
            "head_dim": 32,
            "hidden": 256,
            "max_length": 80,  # longer than the data: 64 tokens by the cache after prompts of 16
            "dropout": 0.0,
            "attention_dropout": 0.0,
            "pre_norm": True,  # False: GPT-1
            "scale_residual": True,
            "init_std": 0.08,  # the papers' 0.02 and 0.01 are for wider networks
            "position_std": 0.08,
            "window": 0,  # of every second layer (GPT-3); 0: all layers dense
            "remat": "",  # or "dots", "block": what is worked out again in the backward pass
        }
    )
    config.batch = ConfigDict(
        {
            "rows": 64,
            "first_rows": 64,
            "ramp_tokens": 0,  # over which the batch grows from first_rows to rows
            "levels": 1,  # sizes it takes on the way, each compiled once
            "multiple": 1,  # of rows: what the devices and accumulate_steps must divide
            "total_tokens": 1500 * 64 * 48,
        }
    )
    config.optimizer = ConfigDict(
        {
            "learning_rate": 1.5e-3,
            "warmup_tokens": 50 * 64 * 48,
            "decay_tokens": 2500 * 64 * 48,  # the rate is still high when the look-up forms
            "end_factor": 0.1,
            "b1": 0.9,
            "b2": 0.95,
            "eps": 1e-8,
            "weight_decay": 0.1,
        }
    )
    config.data.update(
        {
            "names": ("key_labels",),  # or names for data.load, mixed by weights
            "weights": (1.0,),
            "length": 48,  # tokens that a row trains on
            "num_keys": 8,
            "num_labels": 4,
            "vocabulary": "bytes",  # or "bpe", learned from the data, or a tokenizer.json
            "overlap_words": 13,  # runs so long that the test text has too are not trained on
            "test_split": "test",
        }
    )
    config.eval = ConfigDict(
        {
            "documents": 1024,
            "shots": (0, 4, 8, 16, 23),  # solved examples in a prompt
            "queries": 256,
            "draws": 2,  # of the examples; the mean is reported
            "batch_rows": 64,
            "exact": True,  # what holds of any decoder
            "tokens": 100_000,  # of the test text
            "stride_tokens": 64,  # between windows: each token has at least length - stride before
            "ngram_order": 4,  # of the counted model beside it; 0: none
        }
    )
    config.sampling = ConfigDict(
        {"prompts": ("The ",), "new_tokens": 64, "temperature": 1.0, "top_k": 40, "top_p": 1.0}
    )

    return common.choose(config, VARIANTS, variant)


def smoke(config: ConfigDict) -> None:
    """Seconds; what the tests run."""
    config.check_claims = False
    config.steps_per_call = 1
    config.log_every_steps = config.checkpoint_every_steps = 2
    del config.arms.one_layer
    config.arms.text = {
        **_text("python_reference", rows=16, length=32, steps=10),
        "model.layers": 2,
        "model.dim": 16,
        "model.num_heads": 2,
        "model.head_dim": 8,
        "model.hidden": 32,
        "model.window": 8,
        "batch.first_rows": 8,
        "batch.ramp_tokens": 1024,
        "batch.levels": 2,
    }
    config.model.update(dim=16, num_heads=2, head_dim=8, hidden=32)
    config.data.length = 24
    config.batch.update(rows=16, first_rows=16, multiple=8, total_tokens=24 * 16 * 8)
    config.optimizer.update(warmup_tokens=24 * 32, decay_tokens=24 * 16 * 8)
    config.eval.update(
        documents=32, shots=(0, 23), queries=8, batch_rows=8, tokens=2000, exact=False
    )
    config.sampling.new_tokens = 8


def tiny_shakespeare(config: ConfigDict) -> None:
    """A million characters of Shakespeare's plays, against counts of 4-grams."""
    config.arms = ConfigDict({"text": {}}, convert_dict=False)
    config.update_from_flattened_dict(_text("tiny_shakespeare", rows=16, length=128, steps=1500))
    config.sampling.update(prompts=("ROMEO:",), new_tokens=64)


def gpt1(config: ConfigDict) -> None:
    """The published size of GPT-1."""
    # 100 epochs of BooksCorpus: 985 M words, whose number of tokens is not published.
    _published(config, "gpt1", length=512, rows=64, total_tokens=100 * _B)
    config.max_grad_norm = 0.0
    config.optimizer.update(
        learning_rate=2.5e-4,
        warmup_tokens=2000 * 64 * 512,
        decay_tokens=100 * _B,
        end_factor=0.0,
        b2=0.999,
        weight_decay=0.01,
    )


def gpt2(config: ConfigDict, name: str) -> None:
    # Neither the length of training nor the optimizer is published.
    _published(config, name, length=1024, rows=512, total_tokens=100 * _B)
    config.accumulate_steps = 16
    config.optimizer.update(
        learning_rate=6e-4 if name == "gpt2" else 2.5e-4,
        warmup_tokens=2000 * 512 * 1024,
        decay_tokens=100 * _B,
    )


def gpt3(config: ConfigDict, name: str) -> None:
    rate, rows, fsdp, model, remat = _GPT3[name]
    _published(config, name, length=2048, rows=rows, total_tokens=300 * _B)
    config.mesh.update(fsdp=fsdp, model=model)
    config.model.remat = remat
    # 32k tokens are 16 rows. Where the batch is split over more devices than `multiple` (data x
    # fsdp), set batch.multiple to their number: the ramp then begins with one row each.
    config.batch.update(
        first_rows=16,
        ramp_tokens=12 * _B if rows > 512 else 4 * _B,
        levels=8,
        multiple=max(16, fsdp),
    )
    config.optimizer.update(
        learning_rate=rate, warmup_tokens=375 * _M, decay_tokens=260 * _B, end_factor=0.1
    )


def _text(name: str, rows: int, length: int, steps: int) -> dict[str, Any]:
    """Keys of a model of bytes that is small enough for two cores."""
    tokens = steps * rows * length
    return {
        "data.names": (name,),
        "data.length": length,
        "eval.stride_tokens": length // 2,
        "model.vocab_size": 257,
        "model.layers": 4,
        "model.dim": 128,
        "model.num_heads": 4,
        "model.head_dim": 32,
        "model.hidden": 512,
        "model.max_length": length,
        "model.init_std": 0.02,
        "model.position_std": 0.01,
        "batch.rows": rows,
        "batch.first_rows": rows,
        "batch.total_tokens": tokens,
        "optimizer.learning_rate": 2e-3,
        "optimizer.warmup_tokens": tokens // 10,
        "optimizer.decay_tokens": tokens,
    }


def _published(config: ConfigDict, name: str, length: int, rows: int, total_tokens: int) -> None:
    common.single(config)
    config.steps_per_call = 1
    config.published_as = name
    config.compute_dtype = "bfloat16"
    config.model.update(init_std=0.02, position_std=0.01)
    config.model.update(MODELS[name])
    config.data.update(names=("wiki40b/en",), length=length, vocabulary="bpe")
    config.batch.update(rows=rows, first_rows=rows, total_tokens=total_tokens)
    config.loss_chunks = 8
    config.eval.update(tokens=1_000_000, batch_rows=8, stride_tokens=length // 2, ngram_order=0)
    config.sampling.new_tokens = 256
    config.eval_every_steps = config.checkpoint_every_steps = 2000


def _sizes(prefix: str) -> list[str]:
    return [name for name in MODELS if name.startswith(prefix)]


VARIANTS = {
    "smoke": smoke,
    "tiny_shakespeare": tiny_shakespeare,
    "paper": common.described("GPT-3 175B, the largest of the paper.", gpt3, "gpt3_175b"),
    "gpt1": gpt1,
    **{
        name: common.described(f"The published size {name.replace('_', ' ')}.", gpt2, name)
        for name in _sizes("gpt2")
    },
    **{
        name: common.described(f"The published size {name.replace('_', ' ')}.", gpt3, name)
        for name in _sizes("gpt3")
    },
}
