"""TRPO on classic control.

    python experiments/trpo.py --config configs/trpo.py
    python experiments/trpo.py --config configs/trpo.py:cartpole

The first checks the claim on Pendulum, five seeds of two arms, in half a minute on one core.
`:paper` has Baselines' settings, but 64 units in place of its 32.
"""

from ml_collections import ConfigDict

from configs import common
from research.schema import non_negative

ALLOWED = {"agent.step_size": non_negative}  # 0: as long as the limit on KL allows


def get_config(variant: str = "") -> ConfigDict:
    config = common.base()
    config.model = ConfigDict({"variant": "mlp"})
    config.env = common.rl_env("Pendulum-v1", num_envs=16, normalize_rewards=True)
    config.agent = common.trpo_agent()
    config.agent.step_size = 0.0  # of every natural gradient; 0: what the limit on KL allows
    config.optimizer = ConfigDict({"learning_rate": 1e-3, "adam_epsilon": 1e-5})  # of the value
    config.total_frames = 200_000
    config.eval = common.rl_eval()
    config.log_every_steps = 5
    config.best_metric, config.best_mode = "eval/return", "max"
    config.seeds = (0, 1, 2, 3, 4)
    config.arms = ConfigDict(
        {
            "trust_region": {},
            "wide": {"agent.kl_limit": 1.0},
        },
        convert_dict=False,
    )
    return common.choose(config, VARIANTS, variant)


def smoke(config: ConfigDict) -> None:
    """Seconds; every part at a tiny size."""
    common.keep_arms(config, "trust_region")
    config.env.update(num_envs=8, normalize_observations=True)
    config.agent.update(rollout_steps=8, fisher_every=2, value_epochs=2, value_minibatches=2)
    config.total_frames = 8 * 8 * 30
    config.eval.episodes = 8
    config.seeds = (0,)
    config.checkpoint_every_steps = 10
    config.check_claims = False


def cartpole(config: ConfigDict) -> None:
    """CartPole, discrete actions."""
    common.single(config)
    config.env.update(name="CartPole-v1", normalize_rewards=False)
    config.agent.gamma = 0.99


def natural_gradient(config: ConfigDict) -> None:
    """Natural policy gradients of one length each, without a limit or a line search, beside it."""
    config.arms = ConfigDict(
        {
            "trust_region": {},
            **{
                f"length_{name}": {"agent.step_size": length, "agent.backtracks": 0}
                for name, length in (("003", 0.03), ("01", 0.1), ("03", 0.3), ("1", 1.0))
            },
        },
        convert_dict=False,
    )
    config.check_claims = False


def paper(config: ConfigDict) -> None:
    """OpenAI Baselines' settings of continuous control, on Pendulum."""
    common.single(config)
    config.env.update(num_envs=1, normalize_observations=True, normalize_rewards=False)
    config.agent.update(
        rollout_steps=1024,
        gamma=0.99,
        gae_lambda=0.98,
        fisher_every=5,
        value_minibatches=16,
    )
    config.total_frames = 1_000_000


VARIANTS = {
    "smoke": smoke,
    "cartpole": cartpole,
    "natural_gradient": natural_gradient,
    "paper": paper,
}
