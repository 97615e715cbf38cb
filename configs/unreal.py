"""UNREAL in a pixel maze and on Atari. Lengths are in frames of the game (agent steps times action
repeat) or, where they say so, in agent steps of each actor.

    python experiments/unreal.py --config configs/unreal.py
    python experiments/unreal.py --config configs/unreal.py:pong

The first checks the claim in the pixel maze, five seeds of five arms, 160,000 frames: on two CPU
cores about ten minutes, compilation included. In the paper UNREAL comes to A3C's final score in a
tenth of the frames. Atari takes days on a CPU.

The maze was chosen among six, on other seeds, as one that the base agent learns, but slowly; the
learning rate, epsilon, and the weights of entropy and control were tried at two or three values
each, one seed at a time.
"""

from ml_collections import ConfigDict

from configs import common

# Without auxiliary tasks.
BASE = {
    "auxiliary.control_weight": 0.0,
    "auxiliary.reward_weight": 0.0,
    "auxiliary.value_weight": 0.0,
}


def alone(task: str) -> dict[str, float]:
    """Overrides that leave one auxiliary task: "control", "reward" or "value"."""
    return {key: value for key, value in BASE.items() if key != f"auxiliary.{task}_weight"}


def smoke(config: ConfigDict) -> None:
    """Seconds: every part at a tiny size."""
    common.keep_arms(config, "full")
    config.model.variant = "tiny"
    config.env.num_envs = 8
    config.agent.rollout_steps = 5
    config.replay.steps_per_actor = 40
    config.auxiliary.reward_batch = 8
    config.total_frames = 8 * 5 * 60
    config.eval.episodes = 8
    config.steps_per_call = 10
    config.log_every_steps = 10
    config.checkpoint_every_steps = 20
    config.arms = ConfigDict({"full": {}, "base": BASE}, convert_dict=False)
    config.seeds = (0,)
    config.check_claims = False


def features(config: ConfigDict) -> None:
    """Feature control in place of pixel control, beside the base agent."""
    config.auxiliary.control = "features"
    config.auxiliary.control_weight = 3e-5  # activations have no bounds, as pixels have
    config.arms = ConfigDict(
        {"base": BASE, "feature_control": alone("control"), "full": {}}, convert_dict=False
    )
    config.check_claims = False


def atari(config: ConfigDict, game: str = "breakout") -> None:
    """Atari, Breakout; any other game by its own name."""
    common.single(config)
    config.model.variant = "paper"
    config.env.update(
        name=game, action_repeat=4, max_noops=30, life_loss_ends=True, reward_clip=1.0
    )
    config.agent.gamma = 0.99
    # In Labyrinth drawn from 0.01 to 0.1 (appendix B); in Atari, as github.com/miyosuda/unreal has
    # it, from 0.0001 to 0.01. Its epsilon of 0.1 and norm of 40 are of sums over 20 steps; here
    # losses are means.
    config.auxiliary.control_weight = 0.001
    config.optimizer.update(learning_rate=7e-4, rmsprop_epsilon=0.1 / 20**2)
    config.max_grad_norm = 40 / 20
    config.total_frames = 40_000_000
    config.eval.update(episodes=30, max_noops=30)
    config.steps_per_call = 1
    config.log_every_steps = 100
    config.checkpoint_every_steps = 10_000
    config.seeds = (0,)


def paper(config: ConfigDict) -> None:
    """Atari, Breakout; the paper's network and settings."""
    atari(config)
    config.total_frames = 200_000_000


VARIANTS = {
    "smoke": smoke,
    "features": features,
    "atari": atari,
    "paper": paper,
    **common.atari_games(atari),
}


def get_config(variant: str = "") -> ConfigDict:
    config = common.base()
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
    config.arms = ConfigDict(
        {
            "base": BASE,
            "pixel_control": alone("control"),
            "reward_prediction": alone("reward"),
            "value_replay": alone("value"),
            "full": {},
        },
        convert_dict=False,
    )
    return common.choose(config, VARIANTS, variant)
