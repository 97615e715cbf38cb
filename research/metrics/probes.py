"""Linear probes: what can be read off a representation, from few labels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from sklearn.model_selection import GridSearchCV, StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC


def balanced_draw(labels: np.ndarray, num_labels: int, seed: int) -> np.ndarray:
    """Indices [num_labels] of a random draw with equally many of every class of `labels` [N].

    Raises:
        ValueError: `num_labels` does not divide by the classes, or a class is too small.
    """
    classes = np.unique(labels)
    each, rest = divmod(num_labels, len(classes))
    if rest:
        raise ValueError(f"{num_labels} labels do not divide into {len(classes)} classes")
    rng = np.random.default_rng(seed)
    return np.concatenate([rng.choice(np.flatnonzero(labels == c), each, replace=False)
                           for c in classes])


def svm_accuracy(train_x: np.ndarray, train_y: np.ndarray, test_x: np.ndarray,
                 test_y: np.ndarray, *, c_grid: Sequence[float] = (1e-4, 1e-3, 1e-2)) -> float:
    """Test accuracy of a linear L2-SVM on standardised features, C by 4-fold cross-validation.

    Args:
        train_x, train_y: [N, d] and [N], at least four of each class.
        test_x, test_y: [M, d] and [M].
        c_grid: values of C to choose from, by the training labels alone.
    """
    svm = make_pipeline(StandardScaler(), LinearSVC(max_iter=5000, random_state=0))
    folds = StratifiedKFold(4, shuffle=True, random_state=0)
    search = GridSearchCV(svm, {"linearsvc__C": list(c_grid)}, cv=folds)
    search.fit(train_x, train_y)
    return float(search.score(test_x, test_y))
