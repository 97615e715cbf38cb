"""Where results come from: commit, command, processor, seconds, data of every arm."""

import json
import subprocess
from pathlib import Path

import pytest

from research.core import UserError
from research.report import provenance
from research.report.claims import Claim
from research.report.provenance import (
    Provenance,
    checkout,
    command,
    without_data_folder,
    without_folders,
)
from research.report.results import RunFolder, seconds_trained


def git(folder, *arguments):
    author = ["-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run(["git", "-C", str(folder), *author, *arguments], check=True, capture_output=True)


@pytest.fixture
def repository(tmp_path):
    folder = tmp_path / "checkout"
    for name in ("research", "experiments", "configs", "docs"):
        (folder / name).mkdir(parents=True)
        (folder / name / "file.py").write_text("x = 1\n")
    git(folder.parent, "init", "-q", str(folder))
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "all")
    return folder


def test_commit_is_that_of_the_scripts_checkout(repository):
    commit, clean = checkout(repository / "experiments")
    assert len(commit) == 40 and clean
    (repository / "docs" / "file.py").write_text("words\n")
    assert checkout(repository / "experiments") == (commit, True), "pages make no numbers"
    (repository / "research" / "file.py").write_text("x = 2\n")
    assert checkout(repository / "experiments") == (commit, False)
    git(repository, "checkout", "research")
    (repository / "experiments" / "new.py").write_text("x = 2\n")
    assert checkout(repository / "experiments") == (commit, False), "nor was a new script there"


def test_outside_of_git_there_is_no_commit(tmp_path, monkeypatch):
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert checkout(tmp_path) == ("", False)
    monkeypatch.setenv("PATH", "")
    assert checkout(tmp_path) == ("", False)


def test_command_is_as_given_but_for_folders():
    script = Path("/somewhere/experiments/ppo.py")
    argv = ["--config", "configs/ppo.py:pong", "--workdir", "/tmp/x", "--config.seeds=0,1"]
    argv += ["--config.data.dir=/data", "--workdir=/y", "--arm", "clip"]
    expected = (
        "python experiments/ppo.py --config configs/ppo.py:pong --config.seeds=0,1 --arm clip"
    )
    assert command(script, argv) == expected


def test_processor_has_a_name():
    assert provenance.cpu_model()


def test_seconds_are_those_of_all_sessions(tmp_path):
    clock = [1.0, 5.0, 2.0, 3.5, 0.5]  # sessions of 5, 3.5 and 0.5 s
    path = tmp_path / "metrics.jsonl"
    path.write_text("".join(json.dumps({"step": 1, "seconds": s}) + "\n" for s in clock) + '{"st')
    assert seconds_trained(tmp_path) == pytest.approx(9.0)


def made_with(commit, clean=True):
    return Provenance("python experiments/p.py", commit, clean, "a processor", "a device", {})


def test_result_names_the_data_of_every_arm_and_all_commits(tmp_path):
    folder = RunFolder(tmp_path / "run", "p", {"seeds": [0]}, "", ["first"])
    with folder.held():
        folder.add("a", 0, {"x": 1.0}, 2.0, "digits", made_with("c1"))
        folder.add("b", 0, {"x": 2.0}, 3.0, "", made_with("c2", clean=False))
        folder.write([Claim("c", "", "", True)], made_with("c2"), {"a": "rates", "z": "none"})
    found = json.loads((tmp_path / "run" / "result.json").read_text())
    assert found["data"] == {"a": "digits", "b": ""} and found["seconds"] == 5.0
    assert found["tried"] == {"a": "rates"}, "of the arms that ran"
    assert found["commit"] == "c1 c2" and found["clean"] is False
    assert found["command"] == "python experiments/p.py" and found["cpu"] == "a processor"
    assert len(found["date"]) == len("2026-01-01")
    with pytest.raises(UserError):
        RunFolder(tmp_path / "run", "p", {"seeds": [1]}, "", ["first"]).check()


@pytest.mark.parametrize(
    ("origin", "kept"),
    [
        ("TFDS mnist 3.0.1, split train, at /data/mnist/3.0.1", "TFDS mnist 3.0.1, split train"),
        (
            "ptb, split train, the files at /a b/ptb; 0.5 of x",
            "ptb, split train, the files; 0.5 of x",
        ),
        ("cifar10, its files at gs://bucket/cifar10", "cifar10, its files"),
        (
            "proc_faces/studio train, rendered at 32 px",
            "proc_faces/studio train, rendered at 32 px",
        ),
        ("", ""),
    ],
)
def test_a_result_says_which_data_and_not_where_it_lay(origin, kept):
    assert without_folders(origin) == kept


def test_a_result_keeps_the_configuration_and_not_where_its_data_lay():
    config = {"seeds": (0,), "data": {"name": "mnist", "dir": "/data"}}
    kept = {"seeds": (0,), "data": {"name": "mnist", "dir": ""}}
    assert without_data_folder(config) == kept and config["data"]["dir"] == "/data"
    assert without_data_folder({"seeds": (0,)}) == {"seeds": (0,)}
