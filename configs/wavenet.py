"""WaveNet: `python experiments/wavenet.py --config configs/wavenet.py`

Default: synthetic voices of six speakers who say ten digits, at 8 kHz and in 64 bins; nothing is
downloaded. Eight layers of 32 channels, with dilations of 1 to 128 and without, told the speaker,
log-mel frames, or phones and pitch, and with a second head that tells phones. Minutes on two cores.

    python experiments/wavenet.py --config configs/wavenet.py:fsdd --config.data.dir=DIR

DIR holds fsdd/recordings.zip: 2,000 recordings of four speakers, of
github.com/Jakobovski/free-spoken-digit-dataset. `:paper` trains 50 layers on VCTK.
"""

from ml_collections import ConfigDict

from configs import common
from research.schema import non_negative, one_of, positive

ALLOWED = {
    "data.local": one_of("", "mel", "linguistic"),
    "data.train_takes": positive,
    "data.test_takes": positive,
    "model.strides": positive,
    "model.classes": non_negative,  # 0: none are told
    "model.context_factor": non_negative,  # 0: no context stack
    "eval.compared_samples": non_negative,  # 0: nothing is compared
    "eval.ngram_orders": positive,
}

# Nats of a validation sample, seed 10. The networks that are told something learn at the rate of
# the one that is told nothing, `dilated`, which is their rival.
TRIED = {
    "undilated": "0.004: 2.307; 0.008: 2.252; 0.016: 2.246",
    "dilated": "0.004: 2.214; 0.008: 2.138; 0.016: 2.125",
}


def get_config(variant: str = "") -> ConfigDict:
    config = common.base()
    checked = {"eval.compared_samples": 200}
    config.arms.undilated = {"model.dilated": False, "learning_rate": 1.6e-2}
    config.arms.dilated = {"learning_rate": 1.6e-2, **checked}
    config.arms.speaker = {"learning_rate": 1.6e-2, "model.global_conditioning": True}
    config.arms.mel = {"learning_rate": 1.6e-2, "data.local": "mel"}
    config.arms.speech = {
        "learning_rate": 1.6e-2,
        "model.global_conditioning": True,
        "data.local": "linguistic",
    }
    config.arms.phones = {"learning_rate": 1.6e-2, "model.classes": 16}
    config.seeds = (0, 1, 2)
    config.num_steps = 800
    config.batch_size = 2
    config.accumulate_steps = 1  # micro-batches in one step
    config.learning_rate = 1.6e-2  # of Adam ...
    config.end_factor = 0.0  # ... which falls to this share of it along a line
    config.ema_decay = 0.0
    config.class_weight = 1.0  # of the loss of frames' classes beside that of samples

    config.model = ConfigDict(
        {
            "bins": 64,
            "blocks": 1,
            "layers": 8,  # of each block, with dilations 1, 2, 4, ...
            "dilated": True,  # False: 1 throughout
            "taps": 2,
            "input_taps": 2,
            "residual": 32,
            "gate": 32,
            "skip": 32,
            "head": 32,
            "scalar_input": False,  # True: a sample is a number, not one-hot
            "global_conditioning": False,  # by the speaker
            "speaker_features": 16,
            "strides": (4, 4, 5),  # of the transposed convolutions that upsample frames
            "classes": 0,  # of frames
            "class_features": 32,
            "context_factor": 0,  # samples that a context stack takes the mean of; 0 for no stack
            "context_features": 16,
            "context_layers": 5,
        }
    )
    config.data.update(
        {
            "name": "voices",
            "train_split": "train",
            "test_split": "test",
            "train_takes": 6,  # of each of the ten words, by each speaker
            "test_takes": 1,
            "speakers": 6,
            "rate": 8000,  # samples a second
            "source_rate": 8000,  # of recordings, before they are resampled
            "hop": 80,  # samples of a frame
            "length": 960,  # samples of a crop
            "local": "",  # "mel" for log-mel frames, "linguistic" for phones and pitch
            "mel_bands": 20,
            "mel_window": 240,  # samples
        }
    )
    config.eval = ConfigDict(
        {
            "length": 3200,  # samples of each test clip, and of what is drawn unconditionally
            "batch_size": 20,
            "compared_samples": 0,  # drawn by queues and naively; 0: no such checks
            "counted_blocks": 3,  # at which multiply-adds are counted
            "counted_layers": 10,  # of each block
            "ngram_orders": (1, 2, 3),
            "linear_prediction_clips": 120,  # that its coefficients are fitted to
            "shown_sounds": 6,
        }
    )
    config.log_every_steps = 100
    return common.choose(config, VARIANTS, variant)


def smoke(config: ConfigDict) -> None:
    """Seconds; what the tests run."""
    config.check_claims = False
    config.seeds = (0,)
    common.keep_arms(config, "dilated", "mel")
    config.arms.dilated = {**config.arms.dilated, "eval.compared_samples": 20}
    config.arms.mel = {
        **config.arms.mel,
        "model.classes": 16,
        "model.global_conditioning": True,
    }
    config.num_steps = 6
    config.batch_size = 8
    config.model.update(
        bins=16, layers=2, residual=8, gate=8, skip=8, head=8, speaker_features=4, class_features=4
    )
    config.data.update(train_takes=1, length=320, mel_bands=8)
    config.eval.update(length=320, ngram_orders=(1, 2), linear_prediction_clips=4, shown_sounds=2)
    config.log_every_steps = 2
    config.checkpoint_every_steps = 3


def fsdd(config: ConfigDict) -> None:
    """Spoken digits of four people (Free Spoken Digit Dataset), 8 kHz.

    No phones are known of them: the second head tells the digit of each frame.
    """
    common.keep_arms(config, "undilated", "dilated", "speaker", "mel", "phones")
    config.arms.phones = {**config.arms.phones, "model.classes": 10}
    config.seeds = (0,)
    config.data.update(name="spoken_digit", speakers=4)


def context(config: ConfigDict) -> None:
    """A stack over means of 16 samples conditions the default's network (section 2.6)."""
    common.single(config)
    config.model.context_factor = 16


def paper(config: ConfigDict) -> None:
    """Multi-speaker speech (section 3.1): VCTK at 16 kHz, 109 speakers, 300 ms of context.

    The paper gives neither sizes nor steps: five blocks of dilations 1 to 512, 32 and 512 channels,
    and 100,000 samples a step are those of github.com/ibab/tensorflow-wavenet.
    """
    common.single(config)
    config.published_as = "vctk50"
    config.seeds = (0,)
    config.num_steps = 100_000
    config.learning_rate = 1e-3
    config.end_factor = 1.0
    config.model.update(bins=256, blocks=5, layers=10, skip=512, head=512)
    config.model.global_conditioning = True
    config.data.update(
        name="vctk",
        train_split="train[:95%]",
        test_split="train[95%:]",
        speakers=109,
        rate=16_000,
        source_rate=48_000,
        hop=80,
        length=12_480,
    )
    config.batch_size = 8
    config.eval.update(length=48_000, batch_size=4)
    config.eval_every_steps = config.checkpoint_every_steps = 5000


VARIANTS = {"smoke": smoke, "fsdd": fsdd, "context": context, "paper": paper}
