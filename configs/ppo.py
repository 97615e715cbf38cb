"""PPO on classic control, MinAtar and Atari. All lengths but `rollout_steps` are in frames of the
game: agent steps times action repeat.

    python experiments/ppo.py --config configs/ppo.py
    python experiments/ppo.py --config configs/ppo.py:cartpole
    python experiments/ppo.py --config configs/ppo.py:pong

The first checks the claim on Pendulum, five seeds of four arms, in about a minute on one core. The
second reaches CartPole's 500 in 200,000 frames. The third has the paper's settings for Atari, but
epochs and weight of the value's error are OpenAI Baselines'; expect days on a CPU, and the scores
of the paper's table 6.
"""

from ml_collections import ConfigDict

from configs import common

_MEANS = "mean returns of seeds 100, 101, 102"
TRIED = {
    "unbounded": f"rates of 1e-4 (-926), 3e-4 (-613), 1e-3 (-631), 3e-3 (-1047); {_MEANS}",
    "one_epoch": f"rates of 2e-3 (-848), 3e-3 (-654), 5e-3 (-390), 1e-2 (-1482); {_MEANS}",
}


def get_config(variant: str = "") -> ConfigDict:
    config = common.base()
    config.model = ConfigDict(
        {
            "variant": "mlp",  # or for images "minatar", "2015", "2016"
            "shared": False,  # one trunk for policy and value
        }
    )
    config.env = common.rl_env("Pendulum-v1", num_envs=8, normalize_rewards=True)
    config.agent = ConfigDict(
        {
            "objective": "clip",  # or "kl_penalty", "unbounded"
            "rollout_steps": 128,  # agent steps of each environment
            "epochs": 10,
            "minibatches": 4,  # in an epoch
            "gamma": 0.95,
            "gae_lambda": 0.95,
            "normalize_advantages": True,  # in each minibatch
            "clip": 0.2,
            "anneal_clip": False,  # to 0 over the run, `value_clip` too
            "kl_penalty": 1.0,  # its weight at the start
            "kl_target": 0.01,  # nats; 0: the penalty stays as it is
            "value_weight": 0.25,  # of the squared error
            "value_clip": 0.0,  # 0: none
            "entropy_weight": 0.0,
            "anneal": True,  # the learning rate, to 0 over the run
        }
    )
    config.optimizer = ConfigDict({"learning_rate": 1e-3, "adam_epsilon": 1e-5})
    config.max_grad_norm = 0.5
    config.total_frames = 200_000
    config.eval = common.rl_eval()
    config.log_every_steps = 5
    config.best_metric, config.best_mode = "eval/return", "max"
    config.seeds = (0, 1, 2, 3, 4)
    config.arms = ConfigDict(
        {
            "clip": {},
            "kl_penalty": {"agent.objective": "kl_penalty"},
            # Each at the best of the rates that `TRIED` names.
            "unbounded": {"agent.objective": "unbounded", "optimizer.learning_rate": 3e-4},
            "one_epoch": {
                "agent.objective": "unbounded",
                "agent.epochs": 1,
                "optimizer.learning_rate": 5e-3,
            },
        },
        convert_dict=False,
    )
    return common.choose(config, VARIANTS, variant)


def smoke(config: ConfigDict) -> None:
    """Seconds; every part at a tiny size."""
    config.agent.update(rollout_steps=8, epochs=2, minibatches=2)
    config.env.normalize_observations = True
    config.total_frames = 8 * 8 * 30
    config.eval.episodes = 8
    config.seeds = (0,)
    common.keep_arms(config, "clip")
    config.checkpoint_every_steps = 10
    config.check_claims = False


def cartpole(config: ConfigDict) -> None:
    """CartPole, discrete actions."""
    common.single(config)
    config.env.update(name="CartPole-v1", normalize_rewards=False)
    config.agent.gamma = 0.99


def minatar(config: ConfigDict) -> None:
    """Breakout-MinAtar, images; others by --config.env.name."""
    common.single(config)
    config.model.update(variant="minatar", shared=True)
    config.env.update(name="Breakout-MinAtar", num_envs=64, normalize_rewards=False)
    config.agent.update(epochs=4, minibatches=8, gamma=0.99, entropy_weight=0.01)
    config.total_frames = 2_000_000


def continuous(config: ConfigDict) -> None:
    """The paper's settings of continuous control (table 3), on Pendulum."""
    common.single(config)
    config.env.update(num_envs=1, normalize_observations=True)
    config.agent.update(rollout_steps=2048, epochs=10, minibatches=32, gamma=0.99, value_clip=0.2)
    config.optimizer.learning_rate = 3e-4
    config.total_frames = 1_000_000


def paper(config: ConfigDict) -> None:
    """Atari (table 5, as in OpenAI Baselines), Breakout; 40M frames."""
    atari(config, "breakout")
    config.seeds = (0, 1, 2)
    config.published_as = "atari"


def atari(config: ConfigDict, game: str) -> None:
    """An Atari game by table 5; epochs, the clipped value and its weight as in OpenAI Baselines."""
    common.single(config)
    config.model.update(variant="2015", shared=True)
    config.env.update(
        name=game,
        num_envs=8,
        stack=4,
        action_repeat=4,
        max_noops=30,
        fire_reset=True,
        life_loss_ends=True,
        reward_clip=1.0,
        normalize_rewards=False,
    )
    config.agent.update(
        rollout_steps=128,
        epochs=4,  # Baselines'
        minibatches=4,
        gamma=0.99,
        clip=0.1,
        anneal_clip=True,
        value_clip=0.1,
        entropy_weight=0.01,  # value_weight is Baselines'; table 5 has c1 = 1
    )
    config.optimizer.learning_rate = 2.5e-4
    config.total_frames = 40_000_000
    config.eval.update(episodes=30, max_noops=30)
    config.checkpoint_every_steps = 1_000
    config.seeds = (0,)


VARIANTS = {
    "smoke": smoke,
    "cartpole": cartpole,
    "minatar": minatar,
    "continuous": continuous,
    "paper": paper,
    **common.atari_games(atari),
}
