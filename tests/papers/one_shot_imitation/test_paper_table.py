"""`:paper` against sections 4 and 5 of the paper."""

from configs.one_shot_imitation import get_config
from experiments import one_shot_imitation
from research import app
from research.papers.one_shot_imitation.scenes import kept_frames
from tests.rl.paper_table import check

# 140 tasks of training; of each 1,000 demonstrations there, 100 here. Temporal dropout leaves 5 %
# of the frames of training, and a policy plays by the mean over ten such draws; Adamax with 0.001.
TABLE = {
    "env.name": "stacking",
    "env.max_things": 10,
    "model.variant": "attention",
    "demonstrations.tasks": 140,
    "demonstrations.per_task": 100,
    "demonstrations.dropout": 0.95,
    "demonstrations.seen": "all",
    "eval.ensemble": 10,
    "learning_rate": 1e-3,
    "rate_end": 1.0,
}


def test_settings():
    config = get_config("paper")
    check(config, TABLE)
    assert set(config.arms) == {"cloning", "dagger"}
    assert kept_frames(1_500, config.demonstrations.dropout) == 75


def test_arms_of_the_particle_are_the_papers_three_policies_and_two_more():
    arms = get_config().arms
    assert arms.final_state["demonstrations.seen"] == "last"
    assert arms.no_demonstration["demonstrations.seen"] == "none"
    assert arms.lstm["model.variant"] == "lstm"
    assert arms.lstm_attention["model.variant"] == "lstm_attention"
    assert app.build(one_shot_imitation, get_config()).imitator.dropout == 0.5
