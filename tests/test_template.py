"""The template of a paper is alive: it runs as it stands, and its update is tested beside it."""

import json
from pathlib import Path

import research
from research import app, config

TEMPLATE = Path(__file__).resolve().parents[1] / "template"


def test_the_template_trains_and_emits_its_claims(tmp_path):
    module = config.load_module(TEMPLATE / "experiments" / "my_paper.py")
    flags = ["--config", f"{TEMPLATE / 'configs' / 'my_paper.py'}:smoke"]
    assert app.main(module, [*flags, "--workdir", str(tmp_path / "run")]) == 0
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert set(result["arms"]) == {"gradient_descent", "heavy_ball"}
    assert [claim["holds"] for claim in result["claims"]] == [None]
    finished = research.load_run(tmp_path / "run", arm="heavy_ball")
    assert finished.evaluate() == finished.numbers
    demo = finished.demo()
    shares = demo.run(**demo.defaults())["digit"]
    assert len(shares) == 10 and abs(sum(shares.values()) - 1) < 1e-5


def test_its_variants_are_described():
    variants = config.load_module(TEMPLATE / "configs" / "my_paper.py").VARIANTS
    assert all(function.__doc__ for function in variants.values())
