"""Sort-of-CLEVR: answers by brute force, and pictures that show what the scenes say."""

import functools
import math

import numpy as np

from research.data.procedural import sort_of_clevr as sort

NUM = 100


@functools.cache
def scenes():
    return sort.generate(NUM, 5)


def brute_force(centre, shape, colour, kind):
    """The answer in words, object by object."""
    own_x, own_y = centre[colour]
    others = [i for i in range(6) if i != colour]
    distance = {i: math.dist(centre[colour], centre[i]) for i in others}
    name = sort.KINDS[kind]
    if name == "shape":
        return sort.SHAPES[shape[colour]]
    if name == "left":
        return "yes" if own_x < 75 / 2 else "no"
    if name == "up":
        return "yes" if own_y < 75 / 2 else "no"
    if name == "nearest":
        return sort.SHAPES[shape[min(others, key=distance.__getitem__)]]
    if name == "farthest":
        return sort.SHAPES[shape[max(others, key=distance.__getitem__)]]
    return str(sum(shape[i] == shape[colour] for i in range(6)))


def test_answers_are_those_of_brute_force():
    found = sort.answers(scenes())
    seen = set()
    for n in range(NUM):
        for q in range(20):
            colour, kind = scenes().colour[n, q], scenes().kind[n, q]
            expected = brute_force(scenes().centre[n], scenes().shape[n], colour, kind)
            assert sort.ANSWERS[found[n, q]] == expected
            seen.add((kind, expected))
    assert len(seen) >= 15, "every kind has several answers"


def test_ten_questions_of_each_group():
    assert (scenes().kind[:, :10] < 3).all() and (scenes().kind[:, 10:] >= 3).all()


def test_questions_are_eleven_bits():
    bits = sort.encode_questions(scenes())
    assert bits.shape == (NUM, 20, 11)
    np.testing.assert_array_equal(bits[..., :6].argmax(-1), scenes().colour)
    np.testing.assert_array_equal(
        3 * bits[..., 6:8].argmax(-1) + bits[..., 8:].argmax(-1), scenes().kind
    )
    np.testing.assert_array_equal(bits.sum(-1), 3)
    assert set(np.unique(bits)) == {0, 1}


def test_states_hold_the_scene_in_a_random_order():
    states = sort.states(scenes())
    assert states.shape == (NUM, 6, 10)
    colour = states[..., 4:].argmax(-1)
    np.testing.assert_array_equal(np.sort(colour, 1), np.broadcast_to(np.arange(6), (NUM, 6)))
    first = np.bincount(colour[:, 0], minlength=6)
    assert (first > 0).all() and len({tuple(row) for row in colour}) > 80, "shuffled"
    for n in range(0, NUM, 9):
        for place, index in enumerate(colour[n]):
            x, y = (states[n, place, :2] + 1) / 2 * 74
            np.testing.assert_allclose([x, y], scenes().centre[n, index], atol=1e-4)
            assert states[n, place, 2 + scenes().shape[n, index]] == 1
    assert np.abs(states[..., :2]).max() <= 1 and states[..., 0].min() < -0.5 < states[..., 0].max()


def test_pictures_show_the_objects():
    images = sort.draw(scenes())
    assert images.shape == (NUM, 75, 75, 3) and images.dtype == np.uint8
    for n in range(0, NUM, 7):
        for index, rgb in enumerate(sort.RGB):
            y, x = np.nonzero((images[n] == rgb).all(-1))
            centre = scenes().centre[n, index]
            np.testing.assert_allclose([x.mean(), y.mean()], centre, atol=1e-6)
            area = len(x)
            assert area == 121 if scenes().shape[n, index] == 0 else 75 < area < 110
    # As one by one: nothing depends on which images are drawn together.
    one = sort.Scenes(*(part[3:4] for part in scenes()))
    np.testing.assert_array_equal(sort.draw(one)[0], images[3])


def test_objects_do_not_touch():
    away = np.abs(scenes().centre[:, :, None] - scenes().centre[:, None]).max(-1)
    assert (away + 99 * np.eye(6, dtype=int)).min() > 11


def test_splits_share_no_scene():
    rows = {
        split: {part.tobytes() for part in sort.load(split, 200).centre}
        for split in ("train", "validation", "test")
    }
    assert all(len(found) == 200 for found in rows.values())
    assert not rows["train"] & rows["test"] and not rows["train"] & rows["validation"]
    assert not rows["test"] & rows["validation"]


def test_questions_in_words():
    assert sort.in_words(2, 3) == "What shape is the object nearest to the blue one?"
