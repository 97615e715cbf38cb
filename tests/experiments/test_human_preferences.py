"""What is this paper's own: what the policy may know, when clips are asked about, a person."""

import functools
import json
import threading
import time
import urllib.error
import urllib.request

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from configs.human_preferences import get_config
from experiments import human_preferences
from research import training
from research.rl import gymnax_env
from research.viz import label_page


def configured(variant="smoke", **overrides):
    config = get_config(variant)
    config.update_from_flattened_dict(
        {key.replace("__", "."): value for key, value in overrides.items()}
    )
    return config


def trained(steps=12, **overrides):
    experiment = human_preferences.build(configured(**overrides))
    state, step = experiment.init(jax.random.key(0)), jax.jit(experiment.step)
    for t in range(steps):
        state, metrics = step(state, None, jax.random.key(t))
    return state, metrics


def same(a, b):
    return all(np.array_equal(x, y) for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b),
                                                    strict=True))


def change_rewards(patch, change):
    plain = gymnax_env._step

    def step(*args):
        observation, state, reward, *rest = plain(*args)
        return observation, state, change(reward), *rest

    patch.setattr(gymnax_env, "_step", step)


def test_the_policy_sees_the_true_reward_through_comparisons_alone(monkeypatch):
    plain = trained()[0]
    with monkeypatch.context() as patch:  # no sum changes its place
        change_rewards(patch, lambda reward: 8 * reward)
        scaled = trained()[0]
    assert same(plain.learned, scaled.learned) and same(plain.ensemble, scaled.ensemble)
    assert not same(plain.actors.episode_return, scaled.actors.episode_return)
    with monkeypatch.context() as patch:
        change_rewards(patch, lambda reward: -reward)
        turned = trained()[0]
    kept = slice(0, int(plain.comparisons.total))
    assert same(plain.comparisons.preference[:3], 1 - turned.comparisons.preference[:3])
    assert not same(plain.learned, turned.learned) and kept.stop > 0


def test_labels_come_as_scheduled_and_the_random_policy_learns_nothing():
    experiment = human_preferences.build(configured())
    first = state = experiment.init(jax.random.key(0))
    step, totals = jax.jit(experiment.step), []
    for t in range(experiment.num_steps):
        state, metrics = step(state, None, jax.random.key(t))
        totals.append(int(metrics["labels"]))
        assert same(first.learned.policy, state.learned.policy) == (t < 3)
    assert totals[2] == 10 and totals[-1] == 40 and totals == sorted(totals)
    assert not same(first.ensemble.members.params, state.ensemble.members.params)


@pytest.mark.parametrize("overrides", [
    {"queries__total_labels": 0}, {"agent__reward": "true"},
], ids=str)
def test_arms_without_labels_leave_the_predictors_alone(overrides):
    first = human_preferences.build(configured(**overrides)).init(jax.random.key(0))
    state, metrics = trained(6, **overrides)
    assert same(first.ensemble.members, state.ensemble.members) and state.comparisons.total == 0
    assert not same(first.learned.policy, state.learned.policy)
    assert ("labels" in metrics) == ("agent__reward" not in overrides)


def test_a2c_on_images_with_hidden_ends():
    state, metrics = trained(
        8, env__name="Breakout-MinAtar", model__variant="minatar", model__shared=True,
        agent__algorithm="a2c", agent__rollout_steps=3, agent__hide_ends=True,
        env__normalize_rewards=False, queries__initial_steps=4,
    )
    assert state.comparisons.total > 0 and np.isfinite(metrics["loss"])


def test_hidden_ends_do_not_reach_the_values(monkeypatch):
    seen = []
    plain = human_preferences.without_ends

    def noting(played, last):
        seen.append(plain(played, last))
        return seen[-1]

    monkeypatch.setattr(human_preferences, "without_ends", noting)
    experiment = human_preferences.build(configured(
        env__name="CartPole-v1", agent__hide_ends=True, agent__rollout_steps=16))
    state = experiment.init(jax.random.key(0))
    with jax.disable_jit(False):
        jax.eval_shape(experiment.step, state, None, jax.random.key(0))
    assert seen  # used at all; what it does is tested with numbers below
    from research.rl.rollouts import Played

    value = jnp.arange(6.0).reshape(3, 2)
    ended = jnp.array([[True, False], [False, False], [True, True]])
    played = Played(*[None] * 3, value, None, ended, ended, jnp.zeros((3, 2)), None)
    going = plain(played, jnp.array([7.0, 8.0]))
    np.testing.assert_array_equal(going.next_value, [[2, 3], [4, 5], [7, 8]])
    assert not going.ended.any() and not going.terminated.any()


class Person(threading.Thread):
    """Answers over HTTP as the page does: prefers the clip that its own taste says."""

    def __init__(self, monkeypatch, taste, pause=0.0):
        super().__init__(daemon=True)
        self.taste, self.pause, self.answered, self.going = taste, pause, [], True
        self.url = None
        plain = label_page.LabelPage.__init__

        def noting(page, *args):
            plain(page, *args)
            self.url = page.url

        monkeypatch.setattr(label_page.LabelPage, "__init__", noting)
        self.start()

    def run(self):
        while self.going:
            time.sleep(0.002 + self.pause)
            if self.url is None:
                continue
            try:
                with urllib.request.urlopen(self.url + "query") as reply:
                    query = json.load(reply)
                if query["query"] is None:
                    continue
                word = self.taste(query["query"])
                body = json.dumps({"query": query["query"], "answer": word}).encode()
                request = urllib.request.Request(
                    self.url + "answer", body, {"Content-Type": "application/json"})
                urllib.request.urlopen(request).close()
                self.answered.append((query["query"], word))
            except (urllib.error.URLError, ConnectionError):
                self.url = None


def by_hand(folder, **overrides):
    return configured(
        queries__labeller="person", queries__port=0, queries__waiting=8,
        log_every_steps=5, **overrides,
    )


def words(number):
    return ("left", "right", "same", "skip")[number % 4]


def test_a_person_answers_while_the_policy_plays_and_a_killed_run_ends_the_same(
    tmp_path, monkeypatch
):
    config = by_hand(tmp_path, checkpoint_every_steps=10)
    person = Person(monkeypatch, words)
    numbers = human_preferences.main(config, tmp_path / "run")
    person.going = False
    person.join()
    answers = [number for number, _ in person.answered]
    assert answers == sorted(answers) and len(answers) >= 32  # the last 8 may stay unanswered
    experiment = human_preferences.build(config)
    experiment.source.desk = None  # finished: nothing is asked
    state = training.run(experiment, config, tmp_path / "run")
    taken = [json.loads(line) for line in
             (tmp_path / "run" / "answers.jsonl").read_text().splitlines()]
    counted = {t["query"] for t in taken if "step" in t}
    assert int(state.comparisons.total) == sum(words(n) != "skip" for n in counted)
    expected = np.array([{"left": 1, "right": 0, "same": 0.5}[words(n)]
                         for n in sorted(counted) if words(n) != "skip"])
    got = np.asarray(state.comparisons.preference[: len(expected)])
    np.testing.assert_array_equal(np.sort(got), np.sort(expected))

    # As after kill -9 before the first checkpoint: the answers alone are left. Nobody is there, and
    # the run still takes the same course up to its last step.
    (tmp_path / "again").mkdir()
    (tmp_path / "again" / "answers.jsonl").write_bytes(
        (tmp_path / "run" / "answers.jsonl").read_bytes())
    if max(t.get("step", 0) for t in taken) == experiment.num_steps - 1:
        assert human_preferences.main(config, tmp_path / "again") == numbers


@pytest.mark.parametrize("overrides", [
    {"queries.labeller": "crowd"}, {"queries.selection": "best"}, {"agent.reward": "none"},
    {"agent.algorithm": "ppo"}, {"queries.initial_steps": 0}, {"reward.variant": "cnn"},
    {"queries.labeller": "person", "env.name": "probe_continuous_both"},
    {"queries.labeller": "person", "queries.waiting": 1},
], ids=str)
def test_wrong_values_are_one_clear_line(overrides):
    config = configured(**{k.replace(".", "__"): v for k, v in overrides.items()})
    with pytest.raises(training.UserError):
        jax.eval_shape(human_preferences.build(config).init, jax.random.key(0))


def test_paper_settings_trace():
    pytest.importorskip("ale_py")
    config = configured("paper", env__num_envs=2, queries__memory=20, queries__history_steps=30)
    experiment = human_preferences.build(config)
    shapes = jax.eval_shape(experiment.init, jax.random.key(0))
    after = jax.eval_shape(functools.partial(experiment.step), shapes, experiment.source.spec,
                           jax.random.key(0))[0]
    assert jax.tree.map(jnp.shape, after) == jax.tree.map(jnp.shape, shapes)
