"""The one loop and what it is made of. Knows nothing of any paper."""

from research.training.evaluation import evaluate
from research.training.loop import run
from research.training.run_config import run_config
from research.training.seeds import run_together, together

__all__ = ["evaluate", "run", "run_config", "run_together", "together"]
