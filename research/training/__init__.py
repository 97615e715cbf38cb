"""The one loop and what it is made of. Knows nothing of any paper."""

from research.training.config import run_config
from research.training.errors import UserError
from research.training.evaluation import evaluate
from research.training.experiment import Experiment, Source
from research.training.learner import Aux, Learner, LearnerState
from research.training.loop import run
from research.training.seeds import run_together, together

__all__ = [
    "Aux",
    "Experiment",
    "Learner",
    "LearnerState",
    "Source",
    "UserError",
    "evaluate",
    "run",
    "run_config",
    "run_together",
    "together",
]
