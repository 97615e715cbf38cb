"""Flags and overrides: what is accepted, and the one line for what is not."""

from pathlib import Path

import pytest

from research import config
from research.core import UserError

SCRIPT = Path(__file__).resolve().parent / "toys" / "experiments" / "line.py"


def parse(*argv):
    return config.parse(argv, SCRIPT)


@pytest.mark.parametrize(
    ("flag", "key", "value"),
    [
        ("--config.worst_loss=1", "worst_loss", 1.0),
        ("--config.worst_loss=3e-4", "worst_loss", 3e-4),
        ("--config.num_steps=7", "num_steps", 7),
        ("--config.flag=true", "flag", True),
        ("--config.name=12", "name", "12"),
        ("--config.sizes=3,4,5", "sizes", (3, 4, 5)),
        ("--config.sizes=3", "sizes", (3,)),
        ("--config.mesh.fsdp=2", "mesh.fsdp", 2),
    ],
)
def test_overrides_are_read_as_the_type_of_their_key(flag, key, value):
    node = parse(flag).config
    for part in key.split("."):
        node = node[part]
    assert node == value and type(node) is type(value)


def test_both_spellings_of_a_flag():
    assert parse("--workdir", "x").workdir == parse("--workdir=x").workdir == Path("x")


def test_variant():
    file = SCRIPT.parents[1] / "configs" / "line.py"
    assert parse(f"--config={file}:smoke").config.num_steps == 1
    assert parse().config.num_steps == 20


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["--wrkdir=x"], "did you mean '--workdir'"),
        (["positional"], "unknown flag"),
        (["--workdir"], "needs a value"),
        (["--workdir", "--arm=fast"], "needs a value"),
        (["--arm=fats"], "did you mean 'fast'"),
        (["--arm=fast", "--arm=slow"], "given twice"),
        (["--config.learning_rat=1"], "did you mean 'learning_rate'"),
        (["--config.mesh.fdsp=1"], "did you mean 'mesh.fsdp'"),
        (["--config.name.deeper=1"], "no configuration key"),
        (["--config.mesh=1"], "is a group"),
        (["--config.num_steps=1.5"], "takes a int"),
        (["--config.num_steps=many"], "takes a int"),
        (["--config.flag=1"], "true or false"),
        (["--config.sizes=a,b"], "takes values like"),
        (["--config.seed=1"], "--config.seeds"),
        (["--config=nowhere.py"], "no configuration file"),
        ([f"--config={SCRIPT.parents[1] / 'configs' / 'line.py'}:smok"], "did you mean 'smoke'"),
    ],
)
def test_bad_flags_are_one_line(argv, words):
    with pytest.raises(UserError, match=words) as error:
        parse(*argv)
    assert "\n" not in str(error.value)


def test_arm_overrides_are_checked():
    base = parse().config
    assert config.with_overrides(base, {"learning_rate": 0.5}).learning_rate == 0.5
    assert base.learning_rate == 0.1
    with pytest.raises(UserError, match="no configuration key"):
        config.with_overrides(base, {"learning_rat": 0.5})
    with pytest.raises(UserError, match="takes a float"):
        config.with_overrides(base, {"learning_rate": "high"})


def test_what_arms_set_is_not_overridden():
    """Every arm would be given the one value, and nothing be compared."""
    with pytest.raises(UserError, match=r"--config.learning_rate is what the arms slow set"):
        parse("--config.learning_rate=0.5")
    with pytest.raises(UserError, match=r"--config.learning_rate is what the arms slow set"):
        parse("--arm=slow", "--config.learning_rate=0.5")


def test_an_arm_alone_takes_what_others_set():
    """The others do not run, and one that sets no such value itself is given it."""
    arms = [arm for arm in config.arms_of(parse().config) if arm != "slow"]
    flags = parse(f"--arm={arms[0]}", "--config.learning_rate=0.5")
    assert flags.config.learning_rate == 0.5


def test_help(capsys):
    with pytest.raises(SystemExit) as done:
        parse("--help")
    assert done.value.code == 0
    shown = capsys.readouterr().out
    assert "  smoke  one step" in shown
    assert max(map(len, shown.splitlines())) <= 80
