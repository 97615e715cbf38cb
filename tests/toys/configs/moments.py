"""python experiments/moments.py"""

from research.training import run_config

VARIANTS = {}


def get_config(variant=""):
    config = run_config()
    config.num_steps = 30
    config.width = 4
    config.rate = 0.1
    config.decay = False
    config.log_every_steps = 5
    config.eval_every_steps = 10
    config.checkpoint_every_steps = 4
    config.arms.first = {}
    config.arms.second = {"rate": 0.01}
    return config
