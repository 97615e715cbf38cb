"""ACER on classic control, MinAtar and Atari. Lengths are in frames of the game (agent steps times
action repeat) or, where they say so, in agent steps of each environment.

    python experiments/acer.py --config configs/acer.py
    python experiments/acer.py --config configs/acer.py:pong

The first checks the claim on Acrobot, five seeds of three arms, in about a minute: in the paper
more replay needs fewer frames to the same score (figure 1). Atari expects days on a CPU.
"""

from ml_collections import ConfigDict

from configs import common


def get_config(variant: str = "") -> ConfigDict:
    config = common.base()
    config.model = ConfigDict(
        {
            "variant": "mlp",  # or for images "minatar", "2015" (Baselines), "2016" (the paper)
            "shared": False,  # one trunk for policy and value
        }
    )
    config.env = common.rl_env("Acrobot-v1", num_envs=16)
    # Another policy's experience is not brought to the moments of this one's.
    del config.env["normalize_observations"], config.env["normalize_rewards"]
    config.replay = ConfigDict(
        {
            "capacity_frames": 50_000,
            "learning_starts_frames": 1_000,
        }
    )
    config.agent = ConfigDict(
        {
            "segment_steps": 20,  # k
            "gamma": 0.99,
            "replay_ratio": 4.0,  # replayed updates for each of those with what was just played
            "truncation": 10.0,  # c, of importance weights
            "trust_region": 1.0,  # delta
            "average_decay": 0.99,  # alpha, of the average policy network
            "q_weight": 0.5,
            "entropy_weight": 0.03,
        }
    )
    config.optimizer = ConfigDict(
        {
            "learning_rate": 2e-3,  # to 0 over the run
            "rmsprop_decay": 0.99,
            "rmsprop_epsilon": 1e-5,
            "rmsprop_initial_scale": 0.0,  # of the second moment; in Baselines, TensorFlow's: 1
        }
    )
    config.max_grad_norm = 10.0
    config.total_frames = 120_000
    config.eval = common.rl_eval()
    config.steps_per_call = 25
    config.log_every_steps = 25
    config.best_metric, config.best_mode = "eval/return", "max"
    config.seeds = (0, 1, 2, 3, 4)
    config.arms = ConfigDict(
        {
            "acer": {},
            "on_policy": {"agent.replay_ratio": 0.0},
            # Longer steps in place of more of them: the best of the rates tried without replay.
            "on_policy_fast": {"agent.replay_ratio": 0.0, "optimizer.learning_rate": 1e-2},
        },
        convert_dict=False,
    )
    return common.choose(config, VARIANTS, variant)


def smoke(config: ConfigDict) -> None:
    """Seconds: every part at a tiny size."""
    common.keep_arms(config, "acer", "on_policy")
    config.env.num_envs = 8
    config.total_frames = 8 * 20 * 30
    config.replay.learning_starts_frames = 320
    config.eval.episodes = 8
    config.steps_per_call = config.log_every_steps = 10
    config.checkpoint_every_steps = 20
    config.seeds = (0,)
    config.check_claims = False


def ablations(config: ConfigDict) -> None:
    """Without the trust region, without truncation, with less replay."""
    config.arms = ConfigDict(
        {
            "acer": {},
            "no_trust_region": {"agent.trust_region": 1e9},
            "no_truncation": {"agent.truncation": 1e9},
            "ratio_1": {"agent.replay_ratio": 1.0},
        },
        convert_dict=False,
    )
    config.check_claims = False


def minatar(config: ConfigDict) -> None:
    """Breakout-MinAtar, images; others by --config.env.name."""
    _images(config)
    config.model.variant = "minatar"
    config.env.update(name="Breakout-MinAtar", num_envs=64)
    config.total_frames = 2_000_000


def paper(config: ConfigDict) -> None:
    """Atari, Breakout; OpenAI Baselines' settings; 40M frames."""
    _atari(config, "breakout")
    config.published_as = "2015"


def _images(config: ConfigDict) -> None:
    config.arms = ConfigDict(convert_dict=False)
    config.model.shared = True
    config.optimizer.learning_rate = 7e-4
    config.agent.entropy_weight = 0.01


def _atari(config: ConfigDict, game: str) -> None:
    _images(config)
    config.model.variant = "2015"
    config.optimizer.rmsprop_initial_scale = 1.0
    common.atari_frames(config, game, total_frames=40_000_000)
    config.replay.update(capacity_frames=16 * 50_000 * 4, learning_starts_frames=160_000 * 4)


VARIANTS = {
    "smoke": smoke,
    "ablations": ablations,
    "minatar": minatar,
    "paper": paper,
    **common.atari_games(_atari),
}
