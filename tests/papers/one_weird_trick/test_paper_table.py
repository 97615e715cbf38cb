"""`:paper` against the paper and the author's configuration of its network (cuda-convnet2)."""

import pytest

from configs.one_weird_trick import get_config
from tests.rl.paper_table import check

# Sections 4.2 and 5; layers-223-1gpu.cfg and layer-params-223-ce2-1gpu.cfg, where norms have
# scale 0.0001, size 5 and minDiv 2, and layer.py divides the scale by the size.
TABLE = {
    "scheme": "c",
    "batch_size": 1024,
    "fc_batch_size": 128,
    "total_images": 90 * 1_281_167,
    "max_grad_norm": 0.0,
    "model.variant": "2014",
    "model.dropout": 0.5,
    "model.input_scale": 127.5,  # pixels of 0 to 255, less their mean
    "model.norm.size": 5,
    "model.norm.k": 2.0,
    "model.norm.alpha": 1e-4,
    "model.norm.beta": 0.75,
    "model.norm.divide_alpha": True,
    "optimizer.learning_rate": 0.01,
    "optimizer.bias_learning_rate": 0.02,
    "optimizer.scaling": "linear",
    "optimizer.momentum": 0.9,
    "optimizer.weight_decay": 5e-4,
    "optimizer.drops_at": (0.25, 0.5, 0.75),
    "optimizer.drop_factor": 250 ** (1 / 3),
    "optimizer.bias_drops_at": (0.5,),
    "optimizer.bias_drop_factor": 10.0,
    "data.name": "imagenet2012",
    "data.num_classes": 1000,
    "data.image_size": 224,
    "data.augmentation": "square_crop",
    "test.short_sides": (256,),
    "test.crops": "one",
}


@pytest.mark.parametrize(
    ("variant", "loss"), [("paper", "softmax"), ("paper_logistic", "logistic")]
)
def test_settings(variant, loss):
    check(get_config(variant), {**TABLE, "loss": loss})
