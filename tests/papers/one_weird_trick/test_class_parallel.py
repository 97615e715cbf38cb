import jax
import jax.numpy as jnp
import numpy as np
import optax

from research.papers.one_weird_trick.class_parallel import logistic_loss, softmax_loss, top1_error

LOGITS = 5 * jax.random.normal(jax.random.key(0), (6, 8))
LABELS = jnp.array([0, 7, 3, 3, 4, 1])


def test_softmax_is_the_usual_cross_entropy():
    expected = optax.softmax_cross_entropy_with_integer_labels(LOGITS, LABELS)
    np.testing.assert_allclose(softmax_loss(LOGITS, LABELS), expected, rtol=1e-5)
    huge = softmax_loss(LOGITS + 1e4, LABELS)
    np.testing.assert_allclose(huge, expected, atol=1e-2)  # does not overflow


def test_logistic_is_a_cross_entropy_for_each_class():
    expected = optax.sigmoid_binary_cross_entropy(LOGITS, jax.nn.one_hot(LABELS, 8)).sum(1)
    np.testing.assert_allclose(logistic_loss(LOGITS, LABELS), expected, rtol=1e-5)


def test_outputs_that_are_no_class_count_for_nothing():
    padded = jnp.concatenate([LOGITS, jnp.full((6, 2), -1e9)], 1)
    for loss in (softmax_loss, logistic_loss):
        np.testing.assert_allclose(loss(padded, LABELS), loss(LOGITS, LABELS), rtol=1e-6)


def test_error_counts_labels_that_another_class_beats():
    logits = jnp.array([[0.0, 1.0], [2.0, 1.0], [0.0, 3.0], [1.0, 0.0]])
    assert top1_error(logits, jnp.array([1, 1, 1, 1])) == 50.0
