"""Which values keys take: by name, by the file's own table, in every configuration there is."""

import math
from pathlib import Path

import pytest

from research import config, schema
from research.core import UserError

ROOT = Path(__file__).resolve().parents[1]
CONFIGS = sorted((ROOT / "configs").glob("[a-z]*.py")) + [ROOT / "template/configs/my_paper.py"]


@pytest.mark.parametrize("path", [p for p in CONFIGS if p.stem != "common"], ids=lambda p: p.stem)
def test_every_variant_and_arm_takes_its_own_values(path):
    module = config.load_module(path)
    for variant in ("", *module.VARIANTS):
        config.check_values(module.get_config(variant), getattr(module, "ALLOWED", {}))


@pytest.mark.parametrize("path", [p for p in CONFIGS if p.stem != "common"], ids=lambda p: p.stem)
def test_a_file_says_nothing_of_keys_it_does_not_have(path):
    module = config.load_module(path)
    keys = dict(config.flat(module.get_config()))
    for pattern in getattr(module, "ALLOWED", {}):
        alone = {pattern: schema.anything}
        assert any(schema.find(key, 0, alone) is schema.anything for key in keys), pattern


@pytest.mark.parametrize(
    ("key", "good", "bad"),
    [
        ("model.dropout", (0, 0.5), (1, 1.5, -1, "a")),
        ("ema_decay", (0.0, 1.0), (2, -0.1)),
        ("optimizer.weight_decay", (0, 3.0), (-1,)),
        ("optimizer.b1", (0.0, 0.9), (1.0, -0.1)),
        ("learning_rate", (0.0, 100.0), (-1.0,)),
        ("phase2.learning_rate", (0.1,), (-1.0, math.nan, math.inf)),
        ("keep_checkpoints", (1, 9), (0, -1)),
        ("log_every_steps", (1,), (0, -1)),
        ("eval_every_steps", (0, 3), (-1,)),
        ("best_mode", ("min", "max"), ("upwards", "")),
        ("compute_dtype", ("float32", "bfloat16"), ("float99", "int32", "")),
        ("seeds", ((0,), (3, 2**32 - 1)), ((), (-1,), (2**32,), (0, 0), (0.5,), (True,))),
        ("seed", (0,), (-1, 2**32)),
        ("total_frames", (1,), (0, -5)),
        ("eval.episodes", (1,), (0,)),
        ("batch_size", (1,), (0, -8, 2**63)),
        ("sampling.temperature", (0, 2.0), (-1,)),
        ("sampling.top_k", (0, 40), (-1,)),
        ("sampling.top_p", (0.1, 1), (0, 1.1)),
        ("mesh.data", (-1, 4), ("x",)),
        ("model.sizes_of_a_new_paper", ((1, 2), ()), ((1, -2), (math.nan,))),
        ("widths.hidden", ((3, 4),), ((3, 0),)),
        ("data.names", (("a",),), ((),)),
        ("data.bucket_growth", (1.1,), (1.0, 0.5)),
        ("named.by_nobody", ("", "anything", None, True, ("a", 1)), ()),
    ],
)
def test_what_names_mean(key, good, bad):
    for value in good:
        schema.check({key: value}, {}, {}, "main")
    for value in bad:
        with pytest.raises(UserError, match=f"{key}=.*: takes ") as error:
            schema.check({key: value}, {}, {}, "main")
        assert "\n" not in str(error.value)


def test_a_file_has_the_first_word():
    schema.check({"classifier.num_steps": 0}, {"classifier.num_steps": schema.non_negative}, {}, "")
    own = {"norm": schema.one_of("batch", "")}
    schema.check({"model.norm": ""}, own, {}, "")
    with pytest.raises(UserError, match=r"model.norm=layer: takes one of batch, '' \(none\)"):
        schema.check({"model.norm": "layer"}, own, {}, "")


def test_an_arm_is_named():
    with pytest.raises(UserError, match=r"dropout=2: takes .* \(arm wild sets it\)"):
        schema.check({"dropout": 2}, {}, {"dropout": 2}, "wild")
