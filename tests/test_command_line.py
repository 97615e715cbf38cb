"""`landmarks`, and what scripts answer before they load anything."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from research import __main__ as landmarks
from research import commands, completion, config

ROOT = Path(__file__).resolve().parents[1]
RESNET = "experiments/resnet.py"


def python(*words, **options):
    return subprocess.run(
        [sys.executable, *words], cwd=ROOT, capture_output=True, text=True, timeout=120, **options
    )


@pytest.mark.parametrize("name", sorted(path.stem for path in (ROOT / "experiments").glob("*.py")))
def test_every_script_answers_first(name):
    """Its first import is the one that answers; and its configuration loads nothing heavy."""
    lines = (ROOT / "experiments" / f"{name}.py").read_text().splitlines()
    imports = [line for line in lines if re.match(r"import \w|from \w[\w.]* import", line)]
    imports = [line for line in imports if "__future__" not in line]
    assert imports[0].startswith("import research.early")


def test_configurations_load_nothing_heavy():
    code = (
        "import sys; from pathlib import Path; from research import config\n"
        "for path in Path('configs').glob('*.py'): config.load_module(path)\n"
        "print([m for m in ('jax', 'flax', 'orbax', 'numpy') if m in sys.modules])"
    )
    assert python("-c", code).stdout.strip() == "[]"


def test_help_of_a_script_loads_nothing():
    done = python("-X", "importtime", RESNET, "--help")
    assert done.returncode == 0
    assert "--print_config" in done.stdout and "resnet110" in done.stdout
    loaded = {line.rsplit("|", 1)[-1].strip() for line in done.stderr.splitlines()}
    assert "ml_collections" in loaded and not loaded & {"jax", "flax", "orbax", "numpy"}


def test_a_reader_that_leaves_is_no_traceback():
    for words in ([RESNET, "--help"], [RESNET, "--print_config"], ["-m", "research", "--help"]):
        with subprocess.Popen(
            [sys.executable, "-u", *words], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as process:
            process.stdout.close()
            assert process.stderr.read() == b""
            assert process.wait(60) == 141


def test_bad_flags_are_refused_as_early():
    done = python(RESNET, "--print_config", "--config.batch_sizes=3")
    assert done.returncode == 2 and done.stdout == ""
    assert done.stderr.startswith("error: no configuration key 'batch_sizes'")
    assert done.stderr.count("\n") == 1


def test_printed_configuration_is_flags_that_give_it_back(capsys):
    script = ROOT / RESNET
    with pytest.raises(SystemExit):
        config.parse(["--config", f"{ROOT}/configs/resnet.py:cifar10", "--print_config"], script)
    lines = capsys.readouterr().out.splitlines()
    flags = [word for line in lines if line[0] != "#" for word in config.shlex.split(line)]
    default, cifar10 = (
        dict(config.flat(config.load_config(ROOT / "configs/resnet.py", variant)))
        for variant in ("", "cifar10")
    )
    back = dict(config.flat(config.parse(flags, script).config))
    assert back == cifar10 != default
    assert sum(line.startswith("# arm ") for line in lines) == 4
    with pytest.raises(SystemExit):
        config.parse(["--arm", "plain_56", "--print_config"], script)
    assert "--config.model.residual=false" in capsys.readouterr().out.splitlines()


def test_one_paper_with_every_variant(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    assert landmarks.main(["papers", "dqn_atari"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith("dqn_atari: ")
    variants = config.load_module(ROOT / "configs" / "dqn_atari.py").VARIANTS
    for name in variants:
        assert f":{name} " in shown
    assert landmarks.main(["papers", "dqn_atar"]) == 2
    assert "did you mean dqn_atari?" in (said := capsys.readouterr().err)
    assert said.count("\n") == 1


def test_a_wheel_says_what_it_does_not_hold(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(commands, "ROOT", tmp_path)
    for words in (["papers"], ["papers", "resnet"]):
        assert landmarks.main(words) == 2
        said = capsys.readouterr().err
        assert "an installed wheel holds the library alone" in said
        assert said.count("\n") == 1


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_completion(shell, tmp_path, capsys):
    assert landmarks.main(["completion", shell]) == 0
    text = capsys.readouterr().out
    if shell == "zsh":
        assert text.startswith("autoload")
        return
    asked = (
        f"{text}\ncd {ROOT}\n"
        "COMP_WORDS=(landmarks papers resn); COMP_CWORD=2; _landmarks; echo ${COMPREPLY[@]}\n"
        "COMP_WORDS=(landmarks re); COMP_CWORD=1; _landmarks; echo ${COMPREPLY[@]}\n"
        "COMP_WORDS=(python experiments/resnet.py --pr); COMP_CWORD=2; _landmarks_script\n"
        "echo ${COMPREPLY[@]}\n"
    )
    done = subprocess.run(["bash", "-c", asked], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["resnet", "results report", "--print_config"]


def test_completion_knows_every_command(capsys):
    assert landmarks.main(["--help"]) == 0
    usage = capsys.readouterr().out
    for verb in completion.VERBS[:-1]:
        assert f"landmarks {verb}" in usage
    assert landmarks.main(["completion", "fish"]) == 2
    assert "bash or zsh" in capsys.readouterr().err
