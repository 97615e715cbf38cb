"""What the paper says of bodies, terrain and the algorithm (sections 2 to 4), in every variant."""

import pytest

from configs.locomotion_ppo import get_config
from experiments import locomotion_ppo
from research import app
from tests.rl.paper_table import check

# Sizes and weights are not in the paper's text; that statistics are shared, a curriculum rises
# along the track, and the walker meets hurdles, gaps and platforms is.
TABLE = {
    "env.normalize_observations": True,
    "env.normalize_rewards": True,
    "env.blind": False,
    "terrain.difficulty": (0.0, 1.0),
}


@pytest.mark.parametrize("variant", ["", "paper", "quadruped", "humanoid"])
def test_settings(variant):
    config = get_config(variant)
    check(config, TABLE)
    walls = ("walls", "slalom") if variant in ("quadruped", "humanoid") else ()
    assert config.terrain.kinds == ("hurdles", "gaps", "platforms", *walls)


def test_arms_differ_in_their_terrain_alone():
    arms = get_config().arms.to_dict()
    assert arms["curriculum"] == {}
    assert arms["stationary"] == {"terrain.difficulty": (1.0, 1.0)}
    assert arms["flat"] == {"terrain.kinds": ()}


def test_the_walker_has_nine_degrees_of_freedom_and_six_torques():
    experiment = app.build(locomotion_ppo, get_config())
    assert experiment.env.action_size == 6
    body = experiment.env.env
    # 3 of the torso, 6 joints: angles and velocities but for where it is along the track.
    assert body.exteroception == 25 and experiment.network.exteroception == 25
