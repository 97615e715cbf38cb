"""GAIL and behavioral cloning on classic control. Lengths are in frames: steps of the task.

    python experiments/gail.py --config configs/gail.py
    python experiments/gail.py --config configs/gail.py:episodes

The first checks the claim on Pendulum, five seeds of three arms: three minutes on two CPU cores. In
the paper GAIL comes near its expert from the pairs of a few episodes, where cloning fails.
"""

from ml_collections import ConfigDict

from configs import common

EPISODES = (1, 4, 11)


def smoke(config: ConfigDict) -> None:
    """Seconds: every part at a tiny size."""
    common.keep_arms(config, "gail_1", "cloning_1")
    config.env.num_envs = 8
    config.agent.update(rollout_steps=8, fisher_every=2, value_epochs=2, value_minibatches=2)
    config.expert.update(total_frames=8 * 8 * 10, max_episode_steps=100)
    config.total_frames = 8 * 8 * 20
    config.cloning.update(num_steps=4, updates_per_step=2)
    config.eval.episodes = 8
    config.eval_every_steps = 0
    config.seeds = (0,)
    config.checkpoint_every_steps = 2
    config.check_claims = False


def episodes(config: ConfigDict) -> None:
    """Both methods after 1, 4 and 11 episodes of the expert."""
    config.arms = ConfigDict(
        {
            f"{method}_{n}": {"method": method, "expert.episodes": n}
            for n in EPISODES
            for method in ("gail", "cloning")
        },
        convert_dict=False,
    )


def discrete(config: ConfigDict, task: str, reward: str) -> None:
    config.env.update(name=task, normalize_rewards=False)
    config.agent.update(gamma=0.99, gae_lambda=0.97)
    config.check_claims = False  # its margins are Pendulum's
    config.expert.max_episode_steps = 500
    config.gail.reward = reward


def cartpole(config: ConfigDict) -> None:
    """CartPole, discrete actions."""
    discrete(config, "CartPole-v1", "-log D")


def acrobot(config: ConfigDict) -> None:
    """Acrobot, discrete actions; the task is to end the episode."""
    discrete(config, "Acrobot-v1", "log(1 - D)")


def paper(config: ConfigDict) -> None:
    """Settings of the authors' code for classic control, on Acrobot; 1.5M frames."""
    acrobot(config)
    config.env.num_envs = 10
    config.agent.update(rollout_steps=500, gamma=0.995, value_minibatches=20)
    config.gail.update(learning_rate=0.01, updates=1)
    config.expert.update(total_frames=500_000, every_steps=5)
    config.total_frames = 300 * 5_000


VARIANTS = {
    "smoke": smoke,
    "episodes": episodes,
    "cartpole": cartpole,
    "acrobot": acrobot,
    "paper": paper,
}


def get_config(variant: str = "") -> ConfigDict:
    config = common.base()
    config.method = "gail"  # "cloning", "expert"
    config.model = ConfigDict({"variant": "mlp100"})
    config.env = common.rl_env("Pendulum-v1", num_envs=16, normalize_rewards=True)
    config.agent = common.trpo_agent()
    config.gail = ConfigDict(
        {
            "reward": "-log D",  # "log(1 - D)" where the task is to end the episode
            "hidden": (100, 100),  # of the discriminator
            "learning_rate": 1e-3,
            "updates": 3,  # of the discriminator, in an iteration
            "entropy_weight": 0.0,  # lambda
        }
    )
    config.cloning = ConfigDict(
        {
            "learning_rate": 1e-3,
            "train_share": 0.7,  # the other pairs tell when to stop
            "batch_size": 128,
            "num_steps": 93,
            "updates_per_step": 50,
        }
    )
    config.expert = ConfigDict(
        {
            "total_frames": 120_000,
            "episodes": 1,
            "every_steps": 20,  # of an episode, pairs that are seen
            "max_episode_steps": 200,
        }
    )
    config.optimizer = ConfigDict({"learning_rate": 1e-3, "adam_epsilon": 1e-5})  # of the value
    config.total_frames = 300_000
    config.eval = common.rl_eval()
    config.log_every_steps = 5
    config.eval_every_steps = 10
    config.best_metric, config.best_mode = "eval/return", "max"
    config.seeds = (0, 1, 2, 3, 4)
    config.arms = ConfigDict(
        {
            "gail_1": {},
            "cloning_1": {"method": "cloning"},
            "cloning_11": {"method": "cloning", "expert.episodes": 11},
        },
        convert_dict=False,
    )
    return common.choose(config, VARIANTS, variant)
