"""UNREAL in a pixel maze and on Atari. Lengths are in frames of the game (agent steps times action
repeat) or, where they say so, in agent steps of each actor.

    python experiments/unreal.py --config configs/unreal.py
    python experiments/unreal.py --config configs/unreal.py:pong

The first checks the claim in the pixel maze, five seeds of five arms, 160,000 frames: 12,000 frames
in a CPU second for the base agent, 5,000 for the full one, and 10 to 16 s to compile an arm; expect
a mean return over the run of 1.1 to 1.8 for the base, and of 1.5 to 2.1 with all tasks. Atari
expects days on a CPU.

The maze was chosen among six on other seeds (mostly one, 100) as one in which the base learns, but
slowly; in 80,000 frames, seeds 0 to 4, it hardly learns: 1.26 1.01 1.16 1.13 1.00 against 1.38 1.11
1.38 1.28 1.26. Learning rate, epsilon, entropy and control weight were tried at two or three values
each, one seed at a time.
"""

from ml_collections import ConfigDict

from configs import common
from research.rl.envs.ale import ATARI_57
from research.training.run_config import run_config

VARIANTS = {
    "smoke": "seconds: every part at a tiny size",
    "features": "feature control in place of pixel control, beside the base agent",
    "atari": "Atari, Breakout; any other game by its own name",
    "paper": "Atari, Breakout; the paper's network and settings",
    **{game: "the same on this Atari game" for game in ATARI_57},
}


def get_config(variant: str = "") -> ConfigDict:
    config = run_config()
    config.model = ConfigDict(
        {
            "variant": "small",  # "paper" for 84x84 pixels, "small" and "tiny" for 20x20
        }
    )
    config.env = common.rl_env("pixel-maze", num_envs=16)
    # The LSTM is fed with rewards, and replay holds pixels: both as they are.
    del config.env["normalize_observations"], config.env["normalize_rewards"]
    config.agent = ConfigDict(
        {
            "rollout_steps": 20,  # n of the n-step returns, and length of replayed sequences
            "gamma": 0.95,
            "value_weight": 0.5,  # of the squared error
            "entropy_weight": 0.003,
            "anneal": True,  # the learning rate, to 0 over the run
        }
    )
    config.auxiliary = ConfigDict(
        {
            "control": "pixels",  # or "features": the activations of the second hidden layer
            "control_weight": 0.003,  # of the squared errors, summed over cells; 0: no control
            "control_gamma": 0.9,
            "reward_weight": 1.0,  # of reward prediction; 0: none
            "reward_batch": 16,  # histories of three frames in each update
            "value_weight": 1.0,  # of value replay, times that of the value; 0: none
        }
    )
    config.replay = ConfigDict({"steps_per_actor": 2_000})
    config.optimizer = ConfigDict(
        {
            "learning_rate": 2e-3,
            "rmsprop_decay": 0.99,
            "rmsprop_epsilon": 1e-8,
        }
    )
    config.max_grad_norm = 0.5
    config.total_frames = 160_000
    config.eval = common.rl_eval()
    del config.eval["greedy"]  # the policy is stochastic
    config.steps_per_call = 25
    config.log_every_steps = 25
    config.best_metric, config.best_mode = "eval/return", "max"
    config.seeds = (5, 6, 7, 8, 9)
    off = {
        "auxiliary.control_weight": 0.0,
        "auxiliary.reward_weight": 0.0,
        "auxiliary.value_weight": 0.0,
    }

    def alone(name: str) -> dict[str, float]:
        return {key: value for key, value in off.items() if key != f"auxiliary.{name}"}

    config.arms = ConfigDict(
        {
            "base": off,
            "pixel_control": alone("control_weight"),
            "reward_prediction": alone("reward_weight"),
            "value_replay": alone("value_weight"),
            "full": {},
        },
        convert_dict=False,
    )

    if variant == "smoke":
        config.model.variant = "tiny"
        config.env.num_envs = 8
        config.agent.rollout_steps = 5
        config.replay.steps_per_actor = 40
        config.auxiliary.reward_batch = 8
        config.total_frames = 8 * 5 * 60
        config.eval.episodes = 8
        config.steps_per_call = config.log_every_steps = 10
        config.checkpoint_every_steps = 20
        config.arms = ConfigDict({"full": {}, "base": off}, convert_dict=False)
        config.seeds = (0,)
        config.check_claims = False
        return config
    if not variant:
        return config
    if variant == "features":
        config.auxiliary.control = "features"
        config.auxiliary.control_weight = 3e-5  # activations have no bounds, as pixels have
        config.arms = ConfigDict(
            {
                "base": off,
                "feature_control": alone("control_weight"),
                "full": {},
            },
            convert_dict=False,
        )
        config.check_claims = False
        return config
    config.arms = ConfigDict(convert_dict=False)
    config.model.variant = "paper"
    config.env.update(
        name="breakout" if variant in ("atari", "paper") else variant,
        action_repeat=4,
        max_noops=30,
        life_loss_ends=True,
        reward_clip=1.0,
    )
    config.agent.gamma = 0.99
    config.auxiliary.control_weight = 0.03  # drawn from 0.01 to 0.1 in the paper
    config.optimizer.learning_rate = 7e-4
    config.total_frames = 40_000_000
    config.eval.update(episodes=30, max_noops=30)
    config.steps_per_call = 1
    config.log_every_steps = 100
    config.checkpoint_every_steps = 10_000
    config.seeds = (0,)
    if variant == "paper":
        config.total_frames = 200_000_000
    return config
