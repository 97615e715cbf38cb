"""Sizes of Dai and Le, and the data that variants take."""

import pytest

from configs.sentiment_lstm import VARIANTS, get_config
from experiments.sentiment_lstm import PAPER
from research.models.recurrent_classifier import WordReader
from tests.rl.paper_table import check

TABLE = {
    "model.embedding": 512,
    "model.units": 1024,
    "model.hidden": 30,
    "model.layers": 1,
    "model.cell": "lstm",
    "model.bidirectional": False,
    "model.pooling": "last",
    "model.word_dropout": 0.5,
    "model.dropout": 0.5,
    "model.truncate_steps": 400,
    "pretraining.kind": "autoencoder",
    "data.name": "imdb_reviews",
    "data.train_split": "train[:85%]",  # 15 % of it for validation
    "data.validation_split": "train[85%:]",
    "data.test_split": "test",
    "data.unlabelled_split": "unsupervised",
    "data.train_labels": 0,
}


def test_settings():
    config = get_config("paper")
    check(config, TABLE)
    assert config.max_grad_norm > 0, "gradients are clipped"
    assert config.data.lengths[-1] >= 2526, "the longest review is read whole"


def test_the_count_is_that_of_the_layers():
    lstm = 4 * 1024 * (512 + 1024 + 1)
    assert lstm == 6_295_552
    expected = 30_000 * 512 + lstm + 1024 * 30 + 30 + 30 * 2 + 2
    assert PAPER.parameters == {"lstm1024": expected}
    assert WordReader.__dataclass_fields__["cell"].default == "lstm"


@pytest.mark.parametrize(
    ("variant", "name"),
    [("mr", "movie_review_mr"), ("sst", "sst/binary"), ("imdb", "imdb_reviews")],
)
def test_real_data_is_named(variant, name):
    config = get_config(variant)
    assert config.data.name == name and config.check_claims
    # MR has no split of its own: ten folds.
    assert config.data.folds == (10 if variant == "mr" else 0)
    assert set(VARIANTS) == {"smoke", "mr", "sst", "imdb", "paper"}


def test_arms_with_few_labels_have_one_budget():
    for variant in ("", "imdb"):
        config = get_config(variant)
        alone = config.arms["few_labels"]
        for arm, kind in (("lm_lstm", "language_model"), ("sa_lstm", "autoencoder")):
            assert config.arms[arm].get("data.train_labels") == alone["data.train_labels"]
            assert config.arms[arm].get("num_steps") == alone["num_steps"]
            assert config.arms[arm]["pretraining.kind"] == kind


def test_forget_gates_begin_open():
    for variant in ("", *VARIANTS):
        assert get_config(variant).model.forget_bias == 1.0
