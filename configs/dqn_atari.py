"""DQN on MinAtar and Atari games. All lengths are in frames of the game: agent steps times action
repeat.

    python experiments/dqn_atari.py --config configs/dqn_atari.py
    python experiments/dqn_atari.py --config configs/dqn_atari.py:minatar
    python experiments/dqn_atari.py --config configs/dqn_atari.py:pong
    python experiments/dqn_atari.py --config configs/dqn_atari.py:paper --config.env.name=qbert

The first checks the claim on Breakout-MinAtar: under 2 minutes on two cores, 45 CPU seconds an
arm; expect a return of 8 to 13 with replay, near 7 without. The second plays 2M frames, two CPU
minutes a seed: expect 20 to 23, on SpaceInvaders-MinAtar 28 to 38 after 1M. The third is a fast
recipe for any Atari game by name, on CPU; expect 80 CPU minutes and, in Pong, a return above 10.
The papers count frames as the agent sees them: their «1M frames» are 4M here.
"""

from ml_collections import ConfigDict

from research.core import UserError
from research.rl.envs.ale import ATARI_57
from research.training.run_config import run_config

VARIANTS = {
    "smoke": "seconds: every part at a tiny size",
    "minatar": "Breakout-MinAtar for longer, 64 environments; other games by --config.env.name",
    "paper": "Atari, network and settings of 2015 (Nature); 200M frames",
    "paper_2013": "Atari, network and settings of 2013; 10M agent steps, no target network",
    **{
        game: "real Atari frames, fast recipe: many emulators, Adam, double Q, 5-step returns"
        for game in ATARI_57
    },
}


def get_config(variant: str = "") -> ConfigDict:
    config = run_config()
    # The dueling paper also clips the gradient's norm, max_grad_norm=10.
    config.model = ConfigDict({"variant": "minatar", "dueling": False})
    config.env = ConfigDict(
        {
            "name": "Breakout-MinAtar",
            "num_envs": 8,  # with 64 the newest transitions are diverse enough without replay
            "actor": "step",  # "host": emulators are driven from Python, for accelerators
            "stack": 1,  # frames in an observation
            "action_repeat": 1,
            "max_noops": 0,
            "fire_reset": False,  # press FIRE at an episode's start
            "sticky_actions": 0.0,
            "full_action_space": False,
            "max_episode_frames": 108_000,
            "life_loss_ends": True,  # for learning alone
            "reward_clip": 1.0,
        }
    )
    config.replay = ConfigDict(
        {
            "capacity": 100_000,  # agent steps
            # "prioritized" (whose paper quarters the rate), or "newest" for none.
            "sampling": "uniform",
            "learning_starts_frames": 5_000,
            "priority_exponent": 0.6,
            "importance_exponent_start": 0.4,  # grows to 1 at the run's end
        }
    )
    config.agent = ConfigDict(
        {
            "batch_size": 32,
            "agent_steps_per_update": 4,
            "target_period_updates": 200,  # 1: no target network
            "gamma": 0.99,
            "n_steps": 1,
            "double": False,
            "epsilon_end": 0.1,
            "epsilon_decay_frames": 50_000,  # counted from the start of learning
        }
    )
    config.optimizer = ConfigDict(
        {
            "name": "rmsprop",  # or "adam"
            "learning_rate": 1e-3,
            "gradient_momentum": 0.95,
            "squared_gradient_momentum": 0.95,
            "min_squared_gradient": 0.01,  # of the gradient summed over the batch
            "adam_epsilon": 1e-5,
        }
    )
    config.total_frames = 250_000
    config.eval = ConfigDict(
        {
            "episodes": 128,
            "epsilon": 0.05,
            "max_episode_frames": 18_000,
            "max_noops": 0,
        }
    )
    config.steps_per_call = 250
    config.log_every_steps = 1_250
    config.checkpoint_every_steps = 10_000
    config.best_metric, config.best_mode = "eval/return", "max"
    config.arms = ConfigDict(
        {
            "full": {},
            "no_target": {"agent.target_period_updates": 1},
            "no_replay": {"replay.sampling": "newest"},
            "neither": {"agent.target_period_updates": 1, "replay.sampling": "newest"},
        },
        convert_dict=False,
    )

    if variant == "smoke":
        config.total_frames = 1_600
        config.replay.capacity = 2_000
        config.replay.learning_starts_frames = 320
        config.eval.episodes = 8
        config.steps_per_call = 10
        config.log_every_steps = 20
        config.checkpoint_every_steps = 50
        config.check_claims = False
    elif variant == "minatar":
        config.env.num_envs = 64
        config.agent.update(agent_steps_per_update=16, epsilon_decay_frames=200_000)
        config.total_frames = 2_000_000
        config.log_every_steps = 500
        config.arms = ConfigDict({}, convert_dict=False)
        config.check_claims = False
    elif variant in ATARI_57:
        _atari(config, variant)
        config.model.variant = "2013"
        config.env.num_envs = 16
        config.replay.update(capacity=100_000, learning_starts_frames=40_000)
        config.agent.update(
            batch_size=32,
            agent_steps_per_update=4,
            target_period_updates=500,
            n_steps=5,
            double=True,
            epsilon_end=0.02,
            epsilon_decay_frames=400_000,
        )
        config.optimizer.update(name="adam", learning_rate=2e-4, adam_epsilon=1e-6)
        config.total_frames = 4_000_000
        config.eval.episodes = 10
        config.log_every_steps = 250
        config.checkpoint_every_steps = 5_000
    elif variant in ("paper", "paper_2013"):
        _atari(config, "breakout")
        config.env.update(num_envs=1, actor="host")
        config.replay.update(capacity=1_000_000, learning_starts_frames=200_000)
        config.agent.update(
            batch_size=32,
            agent_steps_per_update=4,
            target_period_updates=10_000,
            epsilon_decay_frames=4_000_000,
        )
        config.optimizer.learning_rate = 2.5e-4
        config.total_frames = 200_000_000
        config.log_every_steps = 10_000
        config.eval_every_steps = config.checkpoint_every_steps = 250_000
        config.keep_checkpoints = 1  # each holds the replay, 7 GB
        config.published_as = "2015"
        if variant == "paper_2013":
            config.model.variant = config.published_as = "2013"
            config.env.life_loss_ends = False
            config.agent.update(agent_steps_per_update=1, target_period_updates=1)
            config.total_frames = 40_000_000
    elif variant:
        raise UserError(f"no variant {variant!r}; there are {', '.join(VARIANTS)}")
    return config


def _atari(config: ConfigDict, game: str) -> None:
    config.model.variant = "2015"
    config.env.update(name=game, stack=4, action_repeat=4, max_noops=30)
    config.eval.update(episodes=30, max_noops=30)
    config.steps_per_call = 1
    config.arms = ConfigDict({}, convert_dict=False)
    config.check_claims = False
