"""The network that the samples of a generative model are seen through, trained beside the model."""

from __future__ import annotations

from pathlib import Path

from ml_collections import ConfigDict

from research.data.images.squares import Squares
from research.metrics.project_cnn import ClassifierTraining, ProjectCNN
from research.training.loop import run
from research.training.phases import beside

# What the arms and seeds of a run are measured by is trained once, and is the same for all.
_trained: dict[str, ProjectCNN] = {}


def feature_network(
    train: Squares, name: str, settings: ConfigDict, config: ConfigDict, workdir: Path
) -> ProjectCNN | None:
    """Trains the project's network on the labels of a training split.

    Args:
      train: the split.
      name: of the data set, for the network's name.
      settings: `width`, `num_steps` and `batch_size` of `ClassifierTraining`.
      config: of the run that it is trained beside.
      workdir: where its training is kept.

    Returns:
      The network; None where `settings.num_steps` is 0, as for images without labels.
    """
    if not settings.num_steps:
        return None
    known = repr((name, train, settings.to_dict()))
    if known not in _trained:
        num_classes = int(train.labels().max()) + 1
        classifier = ClassifierTraining(train, name, num_classes, **settings)
        state, _ = run(classifier, beside(config, seed=0), workdir)
        _trained[known] = classifier.network(state)
    return _trained[known]
