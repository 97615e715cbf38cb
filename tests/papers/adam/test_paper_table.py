"""The paper's settings (section 6) in the variants of its scale."""

import pytest

from research import config

configs = config.load_module(config.ROOT / "configs" / "adam.py")


@pytest.mark.parametrize("variant", ["paper", "paper_logistic", "paper_imdb", "paper_cifar10"])
def test_adams_defaults_and_batches_of_128(variant):
    setting = configs.get_config(variant)
    grid = setting.grid
    assert (grid.learning_rate, grid.b1, grid.b2) == ((0.001,), (0.9,), (0.999,))
    assert setting.optimizer.name == "adam" and setting.optimizer.eps == 1e-8
    assert grid.corrected == (1,) and setting.batch_size == 128


def test_experiment_1():
    pixels, words = (configs.get_config(x) for x in ("paper_logistic", "paper_imdb"))
    for setting in (pixels, words):
        assert setting.model.widths == () and setting.grid.power == (0.5,)  # alpha / sqrt(t)
        assert setting.l2_penalty > 0
    assert pixels.data.name == "mnist" and pixels.data.image_size == 28
    assert words.data.name == "imdb_reviews" and words.data.num_words == 10_000
    assert words.model.input_dropout == 0.5
    without = configs.get_config("imdb_no_dropout")
    assert all(x["model.input_dropout"] == 0 for x in without.arms.values())


def test_experiment_2():
    setting = configs.get_config("paper")
    assert setting.model.widths == (1000, 1000) and setting.model.dropout == 0.5
    assert setting.data.name == "mnist" and setting.grid.power == (0.0,)
    arms = configs.get_config().arms
    rivals = {"nesterov", "adagrad", "rmsprop", "adadelta"}
    assert rivals <= {x["optimizer.name"] for x in arms.values() if x["problem"] == "multilayer"}


def test_experiment_3():
    setting = configs.get_config("paper_cifar10")
    assert setting.model.channels == (64, 64, 128) and setting.model.widths == (1000,)
    assert setting.model.dropout > 0 and setting.model.input_dropout > 0
    assert setting.data.whitening > 0 and setting.num_epochs == 45


def test_experiment_4():
    setting = configs.get_config("paper_vae")
    assert (setting.vae.hidden, setting.vae.latent_size) == (500, 50)
    assert setting.vae.activation == "softplus" and setting.num_epochs == 100
    every = configs.get_config("figure_4")
    assert every.vae.hidden == 500 and len(every.grid.learning_rate) == 5  # 10^-5 to 10^-1
    assert every.eval_every_steps * every.batch_size == 10 * every.data.num_train
    assert len(every.grid.b1) * len(every.grid.b2) * len(every.grid.corrected) == 12
    for grid in (configs.VAE, configs.get_config().arms["vae"]):
        assert grid["grid.b1"] == (0.0, 0.9) and grid["grid.b2"] == (0.99, 0.999, 0.9999)
        assert grid["grid.corrected"] == (0, 1)


def test_all_optimizers_search_as_many_rates():
    for rates in (configs.LINEAR_RATES, configs.NETWORK_RATES):
        assert {len(values) for values in rates.values()} == {5}


def test_the_default_has_rates_that_were_searched_and_are_named():
    searched, default = configs.get_config("tune").arms, configs.get_config().arms
    for name in set(default) - {"vae"}:
        (rate,), (power,) = default[name]["grid.learning_rate"], default[name]["grid.power"]
        assert rate in searched[name]["grid.learning_rate"]
        assert power in searched[name].get("grid.power", (0.0,))
        assert f"{rate:g}: " in configs.TRIED[name]
    assert 10 not in configs.get_config().seeds
