"""What is this paper's own: what the policy may know, when clips are asked about, a person."""

import json
import shutil
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
from research import app, training
from research.core import UserError
from research.papers.human_preferences import label_page
from research.report.claims import Results
from research.rl.acting.rollouts import Trajectory, without_ends
from research.rl.envs import gymnax_env


def configured(variant="smoke", **overrides):
    config = get_config(variant)
    config.update_from_flattened_dict(
        {key.replace("__", "."): value for key, value in overrides.items()}
    )
    return config


def built(variant="smoke", **overrides):
    return app.build(human_preferences, configured(variant, **overrides))


def same(a, b):
    return all(
        np.array_equal(x, y) for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    )


def trained(steps, **overrides):
    experiment = built(**overrides)

    def body(state, t):
        state, metrics = experiment.step(state, None, t, jax.random.fold_in(jax.random.key(1), t))
        return state, (metrics, state.agent)

    first = experiment.init(jax.random.key(0))
    return first, *jax.lax.scan(body, first, jnp.arange(steps))


FACTORS = (1.0, 8.0, -1.0)


@pytest.fixture(scope="module")
def runs():
    """First state, last state, (metrics, policy and value) after each step, with the true rewards
    times each of the factors."""
    plain = gymnax_env._step

    def run(factor):
        def step(*args):
            observation, state, reward, *rest = plain(*args)
            return observation, state, factor * reward, *rest

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(gymnax_env, "_step", step)
            return trained(30)

    return jax.jit(jax.vmap(run))(jnp.array(FACTORS))


def of(tree, factor):
    return jax.tree.map(lambda x: x[FACTORS.index(factor)], tree)


def test_the_policy_sees_the_true_reward_through_comparisons_alone(runs):
    last = runs[1]
    plain, scaled, turned = (of(last, factor) for factor in FACTORS)
    assert same(plain.agent, scaled.agent) and same(plain.ensemble, scaled.ensemble)
    assert not same(plain.actors.episode_return, scaled.actors.episode_return)
    count = int(of(runs[2][0]["labels"], 1.0)[0])  # until then no predictor knew of any
    assert same(plain.comparisons.preference[:count], 1 - turned.comparisons.preference[:count])
    assert count and not same(plain.agent, turned.agent)


def test_labels_come_as_scheduled_and_the_random_policy_learns_nothing(runs):
    first, last, (metrics, agents) = of(runs, 1.0)
    totals = list(map(int, metrics["labels"]))
    assert totals[2] == 10 and totals[-1] == 40 and totals == sorted(totals)
    for t in range(6):
        now = jax.tree.map(lambda x, t=t: x[t], agents)
        assert same(first.agent.policy, now.policy) == (t < 3)
    assert not same(first.ensemble.members.params, last.ensemble.members.params)


def test_with_the_true_reward_nobody_is_asked():
    first, state, (metrics, _) = jax.jit(lambda: trained(6, agent__reward="true"))()
    assert same(first.ensemble, state.ensemble) and same(first.comparisons, state.comparisons)
    assert not same(first.agent.policy, state.agent.policy) and "labels" not in metrics


@pytest.mark.slow
def test_a2c_on_images_with_hidden_ends():
    _, state, (metrics, _) = jax.jit(
        lambda: trained(
            8,
            env__name="Breakout-MinAtar",
            model__variant="minatar",
            model__shared=True,
            agent__algorithm="a2c",
            agent__rollout_steps=3,
            agent__hide_ends=True,
            env__normalize_rewards=False,
            queries__initial_steps=4,
        )
    )()
    assert state.comparisons.total > 0 and np.isfinite(metrics["loss"]).all()


def test_hidden_ends_do_not_reach_the_values():
    value = jnp.arange(6.0).reshape(3, 2)
    ended = jnp.array([[True, False], [False, False], [True, True]])
    trajectory = Trajectory(*[None] * 3, value, None, ended, ended, jnp.zeros((3, 2)), None)
    going = without_ends(trajectory, jnp.array([7.0, 8.0]))
    np.testing.assert_array_equal(going.next_value, [[2, 3], [4, 5], [7, 8]])
    assert not going.done.any() and not going.terminated.any()


class Person(threading.Thread):
    """Answers over HTTP as the page does: prefers the clip that its own taste says."""

    def __init__(self, monkeypatch, taste):
        super().__init__(daemon=True)
        self.taste, self.answered, self.going = taste, [], True
        self.url = None
        plain = label_page.LabelPage.__init__

        def noting(page, *args):
            plain(page, *args)
            self.url = page.url

        monkeypatch.setattr(label_page.LabelPage, "__init__", noting)
        self.start()

    def run(self):
        while self.going:
            time.sleep(0.002)
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
                    self.url + "answer", body, {"Content-Type": "application/json"}
                )
                urllib.request.urlopen(request).close()
                self.answered.append((query["query"], word))
            except (urllib.error.URLError, ConnectionError):
                self.url = None


def by_hand(**overrides):
    return configured(
        queries__labeller="person",
        queries__port=0,
        queries__waiting=8,
        log_every_steps=5,
        **overrides,
    )


def run(config, folder):
    """Final numbers of a run as the app makes it."""
    return human_preferences.main(app.build(human_preferences, config), config, folder)


def words(number):
    return ("left", "right", "same", "skip")[number % 4]


@pytest.mark.slow
def test_a_person_answers_while_the_policy_plays_and_a_killed_run_ends_the_same(
    tmp_path, monkeypatch
):
    config = by_hand(checkpoint_every_steps=10)
    person = Person(monkeypatch, words)
    numbers = run(config, tmp_path / "run")
    person.going = False
    person.join()
    answers = [number for number, _ in person.answered]
    assert answers == sorted(answers) and len(answers) >= 32  # the last 8 may stay unanswered
    experiment = app.build(human_preferences, config)
    experiment.source.desk = None  # finished: nothing is asked
    state, _ = training.run(experiment, config, tmp_path / "run")
    taken = [
        json.loads(line) for line in (tmp_path / "run" / "answers.jsonl").read_text().splitlines()
    ]
    counted = {t["query"] for t in taken if "step" in t}
    assert int(state.comparisons.total) == sum(words(n) != "skip" for n in counted)
    expected = np.array(
        [
            {"left": 1, "right": 0, "same": 0.5}[words(n)]
            for n in sorted(counted)
            if words(n) != "skip"
        ]
    )
    got = np.asarray(state.comparisons.preference[: len(expected)])
    np.testing.assert_array_equal(np.sort(got), np.sort(expected))

    # As after kill -9, before the first checkpoint or after one. Nobody is there any more, and the
    # run takes the same course: answers that it had not taken by then are left out here.
    kept = [json.dumps(t) + "\n" for t in taken if t["query"] in counted]
    (tmp_path / "run" / "answers.jsonl").write_text("".join(kept))
    (tmp_path / "first").mkdir()
    shutil.copy(tmp_path / "run" / "answers.jsonl", tmp_path / "first")
    assert run(config, tmp_path / "first") == numbers
    shutil.rmtree(tmp_path / "run" / "checkpoints" / str(experiment.num_steps))
    assert run(config, tmp_path / "run") == numbers


@pytest.mark.parametrize(
    "overrides",
    [
        {"queries.labeller": "crowd"},
        {"queries.selection": "best"},
        {"agent.reward": "none"},
        {"agent.algorithm": "ppo"},
        {"queries.initial_steps": 0},
        {"reward.variant": "cnn"},
        {"queries.labeller": "person", "env.name": "probe_continuous_both"},
        {"queries.labeller": "person", "queries.waiting": 1},
        {"env.normalize_observations": True},
    ],
    ids=str,
)
def test_wrong_values_are_one_clear_line(overrides):
    overrides = {key.replace(".", "__"): value for key, value in overrides.items()}
    with pytest.raises(UserError):
        jax.eval_shape(built(**overrides).init, jax.random.key(0))


def test_paper_settings_trace():
    pytest.importorskip("ale_py")
    experiment = built("paper", env__num_envs=2, queries__memory=20, queries__history_steps=30)
    shapes = jax.eval_shape(experiment.init, jax.random.key(0))
    t = jax.ShapeDtypeStruct((), jnp.int32)
    after = jax.eval_shape(experiment.step, shapes, experiment.source.spec, t, jax.random.key(0))[0]
    assert jax.tree.map(jnp.shape, after) == jax.tree.map(jnp.shape, shapes)


def test_claims_are_shares_of_the_way_that_the_reward_leads():
    returns = {"preferences": -30, "random_queries": -30, "offline": -45, "no_labels": -82}

    def holds(needed=(500.0, 560.0), **changes):
        results = {arm: {"eval/return": np.full(3, x)} for arm, x in {**returns, **changes}.items()}
        results["true_reward"] = {
            "eval/return": np.array([-10.0, -20.0, -15.0]),  # -15 in the mean
            "random/return": np.full(3, -95.0),
        }
        for arm, labels in zip(("preferences", "random_queries"), needed, strict=True):
            results[arm]["labels/needed"] = np.full(3, labels)
        claims = human_preferences.claims(Results(results))
        return [claim.holds for claim in claims]

    assert holds() == [True, True, True, True]
    assert holds(preferences=-32) == [False, True, True, True]
    assert holds(needed=(500.0, 540.0)) == [True, False, True, True]
    assert holds(offline=-37) == [True, True, False, True]
    assert holds(no_labels=-78) == [True, True, True, False]
