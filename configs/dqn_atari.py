"""DQN on MinAtar and Atari games. All lengths are in frames of the game: agent steps times action
repeat.

    python experiments/dqn_atari.py --config configs/dqn_atari.py
    python experiments/dqn_atari.py --config configs/dqn_atari.py:minatar
    python experiments/dqn_atari.py --config configs/dqn_atari.py:pong
    python experiments/dqn_atari.py --config configs/dqn_atari.py:paper --config.env.name=qbert

The first checks the claim on Breakout-MinAtar, under 2 minutes on two cores, 45 CPU seconds an arm.
The second plays 2M frames, two CPU minutes a seed. The third is a fast recipe for any Atari game by
name on a CPU, 80 CPU minutes. The papers report returns of 401 in Breakout and 18.9 in Pong (2015;
168 and 20 in 2013), and count frames as the agent sees them: their «1M frames» are 4M here. As the
table of 2015 words it, `:paper` copies the network to its target every 10,000 updates, which are
160,000 frames; other code does so every 40,000 frames (`agent.target_period_frames`).
"""

from ml_collections import ConfigDict

from configs import common
from research.rl.envs.atari_57 import ATARI_57


def get_config(variant: str = "") -> ConfigDict:
    config = common.base()
    # The dueling paper also clips the gradient's norm, max_grad_norm=10.
    config.model = ConfigDict({"variant": "minatar", "dueling": False})
    config.env = common.rl_env("Breakout-MinAtar", num_envs=8)  # with 64, replay is hardly needed
    del config.env["normalize_observations"], config.env["normalize_rewards"]  # frames are uint8
    config.env.life_loss_ends = True
    config.env.reward_clip = 1.0
    config.env.actor = "step"  # "host": emulators are driven from Python, for accelerators
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
            "target_period_frames": 0,  # in place of it where not 0
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
    return common.choose(config, VARIANTS, variant)


def smoke(config: ConfigDict) -> None:
    """Seconds: every part at a tiny size."""
    common.keep_arms(config, "full")
    config.total_frames = 1_600
    config.replay.capacity = 2_000
    config.replay.learning_starts_frames = 320
    config.eval.episodes = 8
    config.steps_per_call = 10
    config.log_every_steps = 20
    config.checkpoint_every_steps = 50
    config.check_claims = False


def minatar(config: ConfigDict) -> None:
    """Breakout-MinAtar for longer, 64 environments; other games by --config.env.name."""
    common.single(config)
    config.env.num_envs = 64
    config.agent.update(agent_steps_per_update=16, epsilon_decay_frames=200_000)
    config.total_frames = 2_000_000
    config.log_every_steps = 500


def paper(config: ConfigDict) -> None:
    """Atari, network and settings of 2015 (Nature); 200M frames."""
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


def paper_2013(config: ConfigDict) -> None:
    """Atari, network and settings of 2013; 10M agent steps, no target network."""
    paper(config)
    config.model.variant = config.published_as = "2013"
    config.env.life_loss_ends = False
    config.agent.update(agent_steps_per_update=1, target_period_updates=1)
    config.total_frames = 40_000_000


def _atari(config: ConfigDict, game: str) -> None:
    common.single(config)
    config.model.variant = "2015"
    config.env.update(name=game, stack=4, action_repeat=4, max_noops=30)
    config.eval.update(episodes=30, max_noops=30)
    config.steps_per_call = 1


def _fast_recipe(config: ConfigDict, game: str) -> None:
    _atari(config, game)
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


VARIANTS = {
    "smoke": smoke,
    "minatar": minatar,
    "paper": paper,
    "paper_2013": paper_2013,
    **{
        game: common.described(
            "Real Atari frames, fast recipe: many emulators, Adam, double Q, 5-step returns.",
            _fast_recipe,
            game,
        )
        for game in ATARI_57
    },
}
