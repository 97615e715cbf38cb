"""`:paper` against the paper and the authors' code for classic control."""

from configs.gail import get_config
from tests.rl.paper_table import check

# Section 6 of the paper: networks of two layers of 100 units, tanh; every 20th pair of an episode
# (in MuJoCo), 70 % of them to learn from where they are cloned, batches of 128 there. The authors'
# code, pipelines/im_classic_pipeline.yaml: every 5th pair of Acrobot, 5,000 pairs an iteration, 300
# iterations, rewards that favour the end; scripts/imitate_mj.py: gamma, lambda, KL, adversary.
PAPER = {
    "model.variant": "mlp100",
    "gail.hidden": (100, 100),
    "agent.kl_limit": 0.01,
    "agent.damping": 0.1,
    "gail.entropy_weight": 0.0,
    "cloning.train_share": 0.7,
    "cloning.batch_size": 128,
}
CODE = {
    "env.name": "Acrobot-v1",
    "expert.every_steps": 5,
    "total_frames": 300 * 5_000,
    "gail.reward": "log(1 - D)",
    "gail.updates": 1,
    "gail.learning_rate": 0.01,
    "agent.gamma": 0.995,
    "agent.gae_lambda": 0.97,
}


def test_settings():
    config = get_config("paper")
    check(config, {**PAPER, **CODE})
    assert config.env.num_envs * config.agent.rollout_steps == 5_000
    check(get_config(), {**PAPER, "expert.every_steps": 20, "gail.reward": "-log D"})
