"""`:paper`: the network is VGG-16 on 224x224 pixels (section III). Other numbers of the paper are
from memory, as its config says, and no constants of a test."""

from configs.domain_randomization import get_config
from research.models.sizes import VGG16
from tests.rl.paper_table import check


def test_settings():
    config = get_config("paper")
    check(
        config,
        {
            "data.image_size": 224,
            "model.stages": VGG16,
            "model.hidden": (256, 64),
            "randomization.camera": True,
            "max_grad_norm": 0.0,
            "accumulate_steps": 1,
        },
    )
    assert config.randomization.noise > 0 and config.randomization.textures > 10**6
    assert VGG16 == ((64,) * 2, (128,) * 2, (256,) * 3, (512,) * 3, (512,) * 3)
    assert config.arms.one_texture == {"randomization.textures": 1}
