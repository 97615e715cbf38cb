"""Handwriting: `python experiments/handwriting.py --config configs/handwriting.py`

Default: procedural pen strokes of 16 writers, five letters a line, twelve letters in all; two
layers of 128 cells. Nothing is downloaded.

    python experiments/handwriting.py --config configs/handwriting.py:omniglot --config.data.dir=DIR

DIR holds omniglot/strokes_background_small1.zip of github.com/brendenlake/omniglot. `:own` and
`:paper` read DIR/train.jsonl, DIR/validation.jsonl and DIR/test.jsonl, one line of handwriting in
each row:

    {"text": "a line", "writer": 3, "strokes": [[[0.0, 1.0], [0.5, 1.2]], [[1.0, 0.0], [1.0, 1.0]]]}

The paper's IAM-OnDB is given out by its makers for a registration; its lines go in this form.
`:paper` is for a GPU.
"""

from ml_collections import ConfigDict

from configs import common
from research.schema import any_number, non_negative, one_of, positive

ALLOWED = {
    "data.name": one_of("procedural", "omniglot", "own"),
    "optimizer.name": one_of("adam", "graves"),
    "data.letters_per_line": positive,
    "data.max_points": positive,
    "data.max_symbols": positive,
    "data.*_lines": positive,
    "data.num_new_writers": non_negative,
    "model.components": positive,
    "model.bumps": non_negative,
    "model.units": positive,
    "model.forget_bias": any_number,
    "model.kappa_bias": any_number,
    "model.*_clip": non_negative,
    "weight_noise.num_steps": non_negative,
    "weight_noise.std": positive,
    "required.*": any_number,
    "eval.samples": positive,
    "eval.candidates": positive,
    "eval.primed_texts": positive,
}

# Nats of a point of the validation lines after 300 steps, by Adam's rate; seed 10.
TRIED = {
    "prediction": "0.004: -1.476; 0.008: -1.717; 0.016: -1.894; 0.032: -1.765",
    "single_gaussian": "0.008: -1.683; 0.016: -1.825; 0.032: -1.405",
    "synthesis": "0.004: -1.786; 0.008: -2.245; 0.016: -2.472; 0.032: -1.925",
}


def get_config(variant: str = "") -> ConfigDict:
    config = common.base()
    config.arms.prediction = {"model.bumps": 0}
    config.arms.single_gaussian = {"model.components": 1}
    config.arms.synthesis = {}
    config.seeds = (0, 1, 2)
    config.num_steps = 400
    config.batch_size = 24
    config.log_every_steps = 25
    config.eval_every_steps = 200
    config.demo_text = "the ocean"  # "": a training line's

    config.model = ConfigDict(
        {
            "layers": 2,
            "units": 128,
            "components": 10,  # M, of the mixture
            "bumps": 4,  # K, of the window; 0: a prediction network
            "forget_bias": 1.0,
            "kappa_bias": -3.0,
            "std_floor": 0.08,  # added to the deviations, in those of the offsets
            # Largest derivatives of a line's loss by what goes into an LSTM, and by the outputs.
            "lstm_clip": 10.0,
            "output_clip": 100.0,
        }
    )
    config.optimizer = ConfigDict({"name": "adam", "learning_rate": 1.6e-2, "cosine": True})
    # A second phase, from the trained network; without steps there is none.
    config.weight_noise = ConfigDict({"num_steps": 0, "learning_rate": 1e-3, "std": 0.075})
    config.data.update(
        {
            "name": "procedural",
            "letters": "acehilnorstu ",
            "letters_per_line": 5,
            "num_symbols": 13,
            "train_lines": 1500,
            "valid_lines": 120,
            "test_lines": 120,
            "num_writers": 16,
            "num_new_writers": 4,
            "max_points": 64,
            "max_symbols": 12,
        }
    )
    # Margins that depend on the data: nats of a point at most, lines read in %, correlation of the
    # slant above that without a prime; 0 for no row about the last two.
    config.required = ConfigDict({"nats": -1.8, "read": 75.0, "slant": 0.4})
    config.eval = ConfigDict(
        {
            "batch_size": 60,
            "samples": 120,  # lines that are written and read
            "candidates": 10,  # texts that a reader has to choose from
            "biases": (0.0, 1.0, 2.0),
            "primed_texts": 4,
            "primed_bias": 1.0,
            "shown": 6,
        }
    )
    return common.choose(config, VARIANTS, variant)


def smoke(config: ConfigDict) -> None:
    """Seconds; what the tests run."""
    config.check_claims = False
    config.seeds = (0,)
    config.arms = ConfigDict(convert_dict=False)
    config.arms.synthesis = {"weight_noise.num_steps": 4}
    config.arms.prediction = {"model.bumps": 0}
    config.num_steps, config.batch_size = 4, 4
    config.log_every_steps = config.eval_every_steps = config.checkpoint_every_steps = 2
    config.demo_text = "no on"
    config.model.update({"units": 8, "components": 2, "bumps": 2})
    config.data.update(
        {
            "letters": "no ",
            "letters_per_line": 3,
            "num_symbols": 3,
            "train_lines": 16,
            "valid_lines": 2,
            "test_lines": 3,
            "num_writers": 3,
            "num_new_writers": 1,
            "max_points": 44,
            "max_symbols": 5,
        }
    )
    config.eval.update(
        {
            "batch_size": 6,
            "samples": 3,
            "candidates": 2,
            "biases": (0.0, 2.0),
            "primed_texts": 1,
            "shown": 2,
        }
    )


def weight_noise(config: ConfigDict) -> None:
    """Adaptive weight noise after the training, against as many more steps without it."""
    config.arms = ConfigDict(convert_dict=False)
    config.arms.longer = {"num_steps": 600}
    config.arms.weight_noise = {"weight_noise.num_steps": 200}


def omniglot(config: ConfigDict) -> None:
    """Pen strokes of Omniglot: lines of three out of eight Early Aramaic letters of one drawer."""
    config.demo_text = "abc"
    config.required.update({"nats": -0.8, "read": 0.0, "slant": 0.0})
    config.data.update(
        {
            "name": "omniglot",
            "letters": "abcdefgh",
            "letters_per_line": 3,
            "num_symbols": 8,
            "max_points": 100,
            "max_symbols": 6,
        }
    )


def own(config: ConfigDict) -> None:
    """Lines of one's own, in files; their letters are those of the training texts."""
    common.single(config)
    config.demo_text = ""
    config.data.update({"name": "own", "letters": "", "max_points": 1000, "max_symbols": 80})


def paper(config: ConfigDict) -> None:
    """The synthesis network: three layers of 400, 20 components, 10 bumps, 57 symbols, IAM-OnDB."""
    own(config)
    config.published_as = "synthesis3x400"
    config.num_steps = 50_000  # the paper stops by its validation lines
    config.batch_size = 32  # the paper does not say
    config.log_every_steps = 100
    config.eval_every_steps = config.checkpoint_every_steps = 1000
    config.best_metric = "valid/nats"
    config.model.update({"layers": 3, "units": 400, "components": 20, "bumps": 10})
    config.model.std_floor = 0.0
    config.optimizer.update({"name": "graves", "learning_rate": 1e-4, "cosine": False})
    config.weight_noise.learning_rate = 1e-4
    config.data.update(
        {
            "num_symbols": 57,
            "train_lines": 5364,
            "valid_lines": 2956,  # both validation sets
            "test_lines": 3859,
            "max_points": 1500,  # 700 in the mean
            "max_symbols": 100,
        }
    )


def paper_weight_noise(config: ConfigDict) -> None:
    """The same network, retrained with adaptive weight noise."""
    paper(config)
    config.published_as = ""  # a mean and a deviation for each weight
    config.weight_noise.num_steps = 50_000


def prediction(config: ConfigDict) -> None:
    """The paper's prediction network of three layers of 400."""
    paper(config)
    config.published_as = "prediction3x400"
    config.model.bumps = 0


def prediction_wide(config: ConfigDict) -> None:
    """The paper's prediction network of one layer of 900."""
    prediction(config)
    config.published_as = "prediction1x900"
    config.model.update({"layers": 1, "units": 900})


VARIANTS = {
    "smoke": smoke,
    "weight_noise": weight_noise,
    "omniglot": omniglot,
    "own": own,
    "paper": paper,
    "paper_weight_noise": paper_weight_noise,
    "prediction": prediction,
    "prediction_wide": prediction_wide,
}
