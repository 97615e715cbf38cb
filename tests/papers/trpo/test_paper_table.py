"""`:paper` against OpenAI Baselines' trpo_mpi."""

from configs.trpo import get_config
from experiments import trpo
from research import app
from tests.rl.paper_table import check

# Baselines, trpo_mpi/defaults.py (`mujoco`) and trpo_mpi.py; delta is the paper's (section 8).
TABLE = {
    "agent.kl_limit": 0.01,
    "agent.rollout_steps": 1024,
    "env.num_envs": 1,
    "agent.cg_iterations": 10,
    "agent.damping": 0.1,
    "agent.gamma": 0.99,
    "agent.gae_lambda": 0.98,
    "agent.backtracks": 10,
    "agent.fisher_every": 5,
    "agent.value_epochs": 5,
    "agent.value_minibatches": 1024 // 64,
    "optimizer.learning_rate": 1e-3,
    "env.normalize_observations": True,
    "env.normalize_rewards": False,
    "total_frames": 1_000_000,
}


def test_settings():
    check(get_config("paper"), TABLE)


def test_the_default_bounds_its_steps_as_the_paper_does():
    config = get_config()
    check(config, {key: TABLE[key] for key in ("agent.kl_limit", "agent.cg_iterations")})
    assert config.arms.wide == {"agent.kl_limit": 1.0}
    assert app.build(trpo, config).agent.damping == 0.1
