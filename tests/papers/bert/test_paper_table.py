"""`:paper` and `:large` against the paper."""

import pytest

from configs.bert import get_config
from tests.rl.paper_table import check

# Section 3 and appendices A.2, A.3; the clip, epsilon and the numbers of predictions are those of
# the released code.
TABLE = {
    "model.vocab_size": 30_522,
    "model.max_length": 512,
    "model.dropout": 0.1,
    "model.attention_dropout": 0.1,
    "model.init_std": 0.02,
    "pretraining.objective": "masked",
    "pretraining.rows": 256,
    "pretraining.num_steps": 1_000_000,
    "pretraining.learning_rate": 1e-4,
    "pretraining.warmup_steps": 10_000,
    "pretraining.short_share": 0.9,
    "pretraining.short_length": 128,
    "pretraining.length": 512,
    "pretraining.short_predictions": 20,
    "pretraining.predictions": 80,
    "pretraining.chosen_share": 0.15,
    "pretraining.masked_share": 0.8,
    "pretraining.replaced_share": 0.1,
    "pretraining.random_next_share": 0.5,
    "pretraining.short_pair_share": 0.1,
    "pretraining.repeat_epochs": 10,
    "pretraining.next_sentence_weight": 1.0,
    "optimizer.b1": 0.9,
    "optimizer.b2": 0.999,
    "optimizer.eps": 1e-6,
    "optimizer.weight_decay": 0.01,
    "max_grad_norm": 1.0,
    "text_task.rows": 32,
    "text_task.warmup_share": 0.1,
    "text_task.num_steps": 3 * 67_349 // 32 + 1,  # three epochs of SST-2, a little more
    "span_task.rows": 32,
    "span_task.learning_rate": 5e-5,
    "span_task.num_steps": 3 * 87_599 // 32,  # three epochs of SQuAD 1.1
    "span_task.length": 384,
    "span_task.stride": 128,
    "span_task.question_length": 64,
}


@pytest.mark.parametrize(
    ("variant", "layers", "dim", "heads"), [("paper", 12, 768, 12), ("large", 24, 1024, 16)]
)
def test_settings(variant, layers, dim, heads):
    sizes = {"layers": layers, "dim": dim, "num_heads": heads, "head_dim": 64, "hidden": 4 * dim}
    check(get_config(variant), {**TABLE, **{f"model.{n}": x for n, x in sizes.items()}})


def test_the_released_rates_of_fine_tuning():
    assert get_config("paper").text_task.learning_rate in (5e-5, 4e-5, 3e-5, 2e-5)
