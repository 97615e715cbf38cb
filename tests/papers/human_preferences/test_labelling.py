"""Queries on their way to a person and back."""

import json
import os
import signal
import threading
import time

import jax.numpy as jnp
import numpy as np
import pytest

from research.core import UserError
from research.papers.human_preferences.clips import Clip, Pairs
from research.papers.human_preferences.labelling import (
    ANSWERS,
    Desk,
    Film,
    PendingQueries,
    PersonSource,
)
from research.training.loop import Stopped

LEFT, RIGHT, SAME, SKIP = range(1, 5)


def pairs_of(values, present):
    clip = Clip(
        jnp.asarray(values, jnp.float32)[:, None, None],
        jnp.zeros((len(values), 1)),
        jnp.zeros((len(values), 1)),
    )
    return Pairs(clip, clip, jnp.asarray(present))


def picture(clip):
    return clip.observation.tobytes()


def test_answered_queries_make_room_for_new_ones():
    waiting = PendingQueries.empty(4, pairs_of([0], [True]).left)
    waiting = waiting.add(pairs_of([10, 11, 12], [True, True, False]))
    waiting = waiting.add(pairs_of([13], [True]))
    assert list(waiting.number[:3]) == [0, 1, 2] and waiting.asked == 3
    answer = jnp.array([RIGHT, 0, SKIP, LEFT])  # the last of them is nobody's
    waiting, counted, preference = waiting.take(answer)
    assert list(counted.present) == [True, False, False, False] and preference[0] == 0
    assert list(waiting.pairs.present) == [False, True, False, False]
    waiting = waiting.add(pairs_of([14, 15, 16], [True] * 3))
    assert sorted(map(int, waiting.number)) == [1, 3, 4, 5]
    shown = dict(
        zip(
            map(int, waiting.number),
            map(float, waiting.pairs.left.observation[:, 0, 0]),
            strict=True,
        )
    )
    assert shown == {1: 11, 3: 14, 4: 15, 5: 16}
    _, counted, preference = waiting.take(jnp.array([LEFT, SAME, RIGHT, SKIP]))
    np.testing.assert_array_equal(preference, [1, 0.5, 0, 0.5])
    np.testing.assert_array_equal(counted.present, [True, True, True, False])


def test_first_answer_counts(tmp_path):
    desk = Desk(tmp_path, total=3)
    assert desk.next() is None and desk.answer(0, "left") == "unknown"
    desk.offer(0, Film(b"a", b"b", 1))
    desk.offer(1, Film(b"c", b"d", 1))
    assert desk.next()[0] == 0 and desk.remaining() == 3
    assert desk.answer(0, "left") == "ok" and desk.answer(0, "right") == "answered"
    assert desk.next()[0] == 1 and desk.remaining() == 2
    assert desk.take(0, [0, 1], min_answers=1) == {0: "left"}


def person(room=4, max_queries=2, first=99):
    return PersonSource(
        room=room,
        max_queries=max_queries,
        initial_steps=first,
        find=lambda state: state,
        draw=picture,
        inner=None,
    )


def source(folder, room=4, max_queries=2, first=99):
    made = person(room, max_queries, first)
    made.desk = Desk(folder, total=9)
    return made


def state_of(*values):
    return PendingQueries.empty(4, pairs_of([0], [True]).left).add(
        pairs_of(list(values), [True] * len(values))
    )


def test_answers_reach_the_step_and_a_killed_run_replays_them(tmp_path):
    state = state_of(5, 6)
    live = source(tmp_path)
    assert not live(state)["answer"].any()  # the policy goes on: there is room for a step's queries
    assert live.desk.next()[1].left == np.float32(5).tobytes()
    live.desk.answer(1, "same")
    np.testing.assert_array_equal(live(state)["answer"], [0, SAME, 0, 0])
    live.desk.answer(0, "left")  # given, and not yet taken when the run is killed
    with (tmp_path / "answers.jsonl").open("a") as file:
        file.write('{"query": 7, "ans')  # as was this line

    again = source(tmp_path)
    assert not again(state)["answer"].any()
    np.testing.assert_array_equal(again(state)["answer"], [0, SAME, 0, 0])
    after = state.take(jnp.array([0, SAME, 0, 0]))[0]
    np.testing.assert_array_equal(again(after)["answer"], [LEFT, 0, 0, 0])
    lines = (tmp_path / "answers.jsonl").read_text().splitlines()
    assert json.loads(lines[-1]) == {"query": 0, "step": 2}
    restored = source(tmp_path)
    restored.set_state(again.get_state())
    assert (
        restored._step == 3
        and not restored(after.take(jnp.array([LEFT, 0, 0, 0]))[0])["answer"].any()
    )


@pytest.mark.parametrize(("room", "first"), [(2, 99), (4, 0)], ids=["no room", "policy begins"])
def test_the_run_waits_for_answers(tmp_path, room, first):
    state = (
        state_of(5, 6)
        if room == 4
        else PendingQueries.empty(2, pairs_of([0], [True]).left).add(pairs_of([5, 6], [True, True]))
    )
    made = source(tmp_path, room, 2, first)

    def answer():
        for number in (0, 1):
            time.sleep(0.05)
            while made.desk.answer(number, ANSWERS[number]) == "unknown":
                time.sleep(0.01)

    person = threading.Thread(target=answer)
    person.start()
    np.testing.assert_array_equal(made(state)["answer"][:2], [LEFT, RIGHT])
    person.join()


def test_sigterm_ends_the_wait(tmp_path):
    state = state_of(5, 6)
    made = source(tmp_path, first=0)
    before = signal.getsignal(signal.SIGTERM)
    threading.Timer(0.1, lambda: os.kill(os.getpid(), signal.SIGTERM)).start()
    with pytest.raises(Stopped):
        made(state)
    assert signal.getsignal(signal.SIGTERM) is before


def test_less_room_than_a_step_needs_is_refused():
    with pytest.raises(UserError, match="queries.waiting=1"):
        person(room=1, max_queries=2)
