"""`:paper` and `:paper_2013` against the papers' own tables."""

from configs.dqn_atari import get_config
from experiments import dqn_atari
from research import app
from tests.rl.paper_table import check

# Mnih et al., 2015, Extended Data Table 1 and Methods. Its frames are of the agent, 4 of the game
# each; here they are of the game.
TABLE_2015 = {
    "agent.batch_size": 32,
    "replay.capacity": 1_000_000,
    "replay.sampling": "uniform",
    "env.stack": 4,
    "agent.target_period_updates": 10_000,
    "agent.target_period_frames": 0,
    "agent.gamma": 0.99,
    "env.action_repeat": 4,
    "agent.agent_steps_per_update": 4,
    "optimizer.name": "rmsprop",
    "optimizer.learning_rate": 0.00025,
    "optimizer.gradient_momentum": 0.95,
    "optimizer.squared_gradient_momentum": 0.95,
    "optimizer.min_squared_gradient": 0.01,
    "agent.epsilon_end": 0.1,
    "agent.epsilon_decay_frames": 4 * 1_000_000,
    "replay.learning_starts_frames": 4 * 50_000,
    "env.max_noops": 30,
    "env.reward_clip": 1.0,
    "env.life_loss_ends": True,
    "env.sticky_actions": 0.0,
    "env.num_envs": 1,
    "total_frames": 4 * 50_000_000,
    "agent.double": False,
    "agent.n_steps": 1,
    "model.dueling": False,
    "model.variant": "2015",
    "max_grad_norm": 0.0,
    # Evaluation: 30 episodes of up to five minutes of 60 frames a second.
    "eval.episodes": 30,
    "eval.epsilon": 0.05,
    "eval.max_noops": 30,
    "eval.max_episode_frames": 5 * 60 * 60,
}


def test_settings_of_2015():
    check(get_config("paper"), TABLE_2015)
    check(
        get_config("paper_2013"),
        {
            **TABLE_2015,
            "model.variant": "2013",
            "agent.agent_steps_per_update": 1,  # algorithm 1 of 2013: after every action
            "agent.target_period_updates": 1,  # none
            "env.life_loss_ends": False,
            "total_frames": 4 * 10_000_000,
        },
    )


def test_the_experiment_has_them():
    experiment = app.build(dqn_atari, get_config("paper"))
    assert experiment.num_steps == 50_000_000 and experiment.per_step == {"frames": 4}
    assert experiment.period == 4 and experiment.target_period_updates == 10_000
    assert [
        round(float(experiment.epsilon(4 * t)), 4) for t in (0, 50_000, 550_000, 1_050_000)
    ] == [
        1.0,
        1.0,
        0.55,
        0.1,
    ]


def test_a_period_in_frames_is_one_of_updates():
    config = get_config("paper")
    config.agent.target_period_frames = 40_000
    assert app.build(dqn_atari, config).target_period_updates == 2_500
