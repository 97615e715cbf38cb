"""The ground: what a paper is to the loop, parameters with their optimizer, errors, paths."""

from research.core.errors import UserError
from research.core.experiment import Experiment, Source
from research.core.learner import Aux, Learner, LearnerState

__all__ = ["Aux", "Experiment", "Learner", "LearnerState", "Source", "UserError"]
