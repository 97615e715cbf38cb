"""python experiments/line.py"""

from research.training import run_config


def smoke(config):
    """one step"""
    config.num_steps = 1


VARIANTS = {"smoke": smoke}


def get_config(variant=""):
    config = run_config()
    config.learning_rate = 0.1
    config.worst_loss = 1e9
    config.num_steps = 20
    config.name = "line"
    config.sizes = (1, 2)
    config.flag = False
    config.log_every_steps = 5
    config.seeds = (0, 1)
    config.published_as = "line"
    config.arms.slow = {"learning_rate": 0.001}
    config.arms.fast = {}
    if variant:
        VARIANTS[variant](config)
    return config
