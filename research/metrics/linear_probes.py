"""Linear probes: what can be read off a representation, from few labels."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC


def balanced_draw(labels: np.ndarray, num_labels: int, seed: int) -> np.ndarray:
    """Indices `[num_labels]` of a random draw with equally many of every class of `labels` `[N]`.

    Raises:
      ValueError: `num_labels` does not divide by the classes, or a class is too small.
    """
    classes = np.unique(labels)
    each, rest = divmod(num_labels, len(classes))
    if rest:
        raise ValueError(f"{num_labels} labels do not divide into {len(classes)} classes")
    rng = np.random.default_rng(seed)
    return np.concatenate(
        [rng.choice(np.flatnonzero(labels == c), each, replace=False) for c in classes]
    )


def svm_accuracy(
    train_x: np.ndarray,
    train_y: np.ndarray,
    test_x: np.ndarray,
    test_y: np.ndarray,
    *,
    c_grid: Sequence[float] = (1e-4, 1e-3, 1e-2),
) -> float:
    """Test accuracy of a linear L2-SVM on standardised features, C by 4-fold cross-validation.

    Args:
      train_x, train_y: `[N, d]` and `[N]`, at least four of each class.
      test_x, test_y: `[M, d]` and `[M]`.
      c_grid: values of C to choose from, by the training labels alone.
    """
    svm = make_pipeline(StandardScaler(), LinearSVC(max_iter=5000, random_state=0))
    folds = StratifiedKFold(4, shuffle=True, random_state=0)
    search = GridSearchCV(svm, {"linearsvc__C": list(c_grid)}, cv=folds)
    search.fit(train_x, train_y)
    return float(search.score(test_x, test_y))


def accuracies(
    representations: Mapping[str, Callable[[np.ndarray], np.ndarray]],
    train: tuple[np.ndarray, np.ndarray],
    test: tuple[np.ndarray, np.ndarray],
    *,
    num_labels: Sequence[int],
    num_draws: int,
) -> dict[str, float]:
    """`svm_accuracy` of several representations of the same images, from few labels.

    Args:
      representations: name -> function from images to features `[N, d]`.
      train, test: images `[N, H, W, C]` and labels `[N]`.
      num_labels: how many training labels are used, balanced over the classes.
      num_draws: draws of labels that are averaged; the same for every representation.

    Returns:
      "name_100" for each representation and number of labels.
    """
    draws = {n: [balanced_draw(train[1], n, seed) for seed in range(num_draws)] for n in num_labels}
    result = {}
    for name, represent in representations.items():
        x, test_x = represent(train[0]), represent(test[0])
        for n, rows in draws.items():
            result[f"{name}_{n}"] = float(
                np.mean([svm_accuracy(x[r], train[1][r], test_x, test[1]) for r in rows])
            )
    return result


def pixels(images: np.ndarray) -> np.ndarray:
    """Images `[N, ...]` as vectors `[N, d]`: the representation to beat."""
    return images.reshape(len(images), -1)
