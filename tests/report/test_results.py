"""The folder of a run: what it refuses, what may change in it, and what damage does to it."""

import errno
import json
import os
import subprocess
import sys
import threading

import pytest

from research import app, config
from research.core import UserError
from research.report.lock import FileLock
from research.report.provenance import Provenance
from research.report.results import LOCK, RunFolder
from tests.faults.drill import TOYS, difference, outcome

FLAGS = ["--arm=first", "--config.num_steps=8", "--config.eval_every_steps=4"]


@pytest.fixture
def toy():
    return config.load_module(TOYS / "experiments" / "moments.py")


def run(toy, workdir, *flags):
    return app.main(toy, [*FLAGS, *flags, "--workdir", str(workdir)])


def folder_of(tmp_path, *arms, **config):
    return RunFolder(tmp_path / "run", "toy", config, "", arms or ("first",))


def begin(tmp_path, **config):
    with folder_of(tmp_path, **config).held():
        pass


@pytest.mark.parametrize(
    "left", [["lock", "lock.first"], ["config.json.there-123.partial"], ["config.partial", "lock"]]
)
def test_a_run_killed_before_it_noted_anything_can_be_started_again(tmp_path, left):
    (tmp_path / "run").mkdir()
    for name in left:
        (tmp_path / "run" / name).write_text("{")
    folder = folder_of(tmp_path, width=4)
    assert folder.check() == {}
    with folder.held():
        assert {path.name for path in folder.workdir.iterdir()} == {"lock.first", "config.json"}
    assert {path.name for path in folder.workdir.iterdir()} == {"config.json"}


def test_one_run_of_an_arm_at_a_time(tmp_path):
    with folder_of(tmp_path, "first", "second").held():
        other = folder_of(tmp_path, "third", "second")
        for attempt in (other.check, lambda: other.held().__enter__()):
            with pytest.raises(
                UserError, match=f"arm second .* in use by process {os.getpid()} on "
            ):
                attempt()
        with folder_of(tmp_path, "third").held():  # what was refused holds no lock
            pass
    other.check()
    with other.held():
        pass


def test_a_lock_ends_with_its_process(tmp_path):
    """Whether it was killed or not; its file stays, and stops nobody."""
    code = (
        "import os, sys; from pathlib import Path; from research.report.lock import FileLock\n"
        "FileLock(Path(sys.argv[1]), 'it').take(); print('held', flush=True); sys.stdin.read()"
    )
    holder = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / LOCK)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(TOYS.parents[1])},
    )
    assert holder.stdout.readline() == b"held\n"
    with pytest.raises(UserError, match=f"in use by process {holder.pid} on "):
        FileLock(tmp_path / LOCK, "it").take()
    holder.kill()
    holder.communicate()
    assert (tmp_path / LOCK).exists()
    mine = FileLock(tmp_path / LOCK, "it")
    mine.take()
    assert mine.sees(mine.token, 0.0) and not mine.sees("another", 0.0)
    mine.release()
    assert not (tmp_path / LOCK).exists()


def test_of_many_that_want_a_lock_one_has_it(tmp_path):
    holders, most, refused = [], [], []
    gate = threading.Barrier(8)

    def want():
        gate.wait()
        for _ in range(5):
            lock = FileLock(tmp_path / LOCK, "it")
            try:
                lock.take()
            except UserError as error:
                refused.append(error)
                continue
            holders.append(lock)
            most.append(len(holders))
            holders.remove(lock)
            lock.release()

    threads = [threading.Thread(target=want) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most and max(most) == 1


def test_runs_of_several_arms_in_one_folder_at_the_same_time(toy, tmp_path, capfd):
    """The last to end checks the claims of both."""
    flags = [*FLAGS[1:], "--workdir", str(tmp_path / "run")]
    code = (
        "import sys; from pathlib import Path; from research import app, config\n"
        "toy = config.load_module(Path(sys.argv[1]))\n"
        "train = app.train\n"
        "def held(*arguments):\n"
        "    print('training', flush=True); sys.stdin.readline()\n"
        "    return train(*arguments)\n"
        "app.train = held; sys.exit(app.main(toy, sys.argv[2:]))"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", code, str(toy.__file__), "--arm=second", *flags],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(TOYS.parents[1])},
    )
    assert other.stdout.readline() == "training\n"
    assert app.main(toy, ["--arm=first", *flags]) == 0
    assert "arms still to run: second" in capfd.readouterr().err
    assert json.loads((tmp_path / "run" / "result.json").read_text())["claims"] == []
    assert app.main(toy, flags) == 2
    assert "arm second of workdir" in capfd.readouterr().err
    shown, errors = other.communicate("\n" * 10)
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert set(result["arms"]) == {"first", "second"} and result["claims"], errors
    assert not list((tmp_path / "run").glob("lock*"))


def test_a_folder_that_processes_do_not_share_is_refused(tmp_path, monkeypatch):
    from research.report import results

    monkeypatch.setattr(results, "_SHARED", 0.0)
    monkeypatch.setattr(results, "exchange", lambda name, word: ["that of another machine"])
    with pytest.raises(UserError, match="is not one folder for all processes: process 0 on "):
        begin(tmp_path)


@pytest.mark.parametrize(
    ("before", "after", "refused"),
    [
        ({"mesh": {"data": 8, "fsdp": 1}}, {"mesh": {"data": 2, "fsdp": 2}}, ""),
        ({"data": {"dir": "/a", "names": ["x"]}}, {"data": {"dir": "/b", "names": ["x"]}}, ""),
        ({"log_every_steps": 5}, {"log_every_steps": 50}, ""),
        ({"seeds": [0]}, {"seeds": [0, 1]}, ""),
        ({"seeds": [0, 1]}, {"seeds": [1]}, "seeds"),
        ({"seeds": [0], "vmap_seeds": True}, {"seeds": [0, 1], "vmap_seeds": True}, "seeds"),
        ({"arms": {"a": {"x": 1}}}, {"arms": {"a": {"x": 1}, "b": {"x": 2}}}, ""),
        ({"arms": {"a": {"x": 1}}}, {"arms": {"a": {"x": 2}}}, "arms.a.x"),
        ({"arms": {"a": {"x": 1}}}, {"arms": {"a": {"x": 1, "y": 2}}}, "arms.a.y"),
        ({"data": {"names": ["x"]}}, {"data": {"names": ["y"]}}, "data.names"),
        ({"num_steps": 9}, {"num_steps": 8}, "num_steps"),
        ({"pretraining": {"num_steps": 9}}, {"pretraining": {"num_steps": 10}}, "pretraining"),
        ({"rate": 0.1}, {"rate": 0.2}, r"rate 0.1 -> 0.2"),
        ({"top": float("inf"), "sizes": (1, 2)}, {"top": float("inf"), "sizes": (1, 2)}, ""),
    ],
)
def test_what_may_differ_from_start_to_start(tmp_path, before, after, refused):
    begin(tmp_path, **before)
    text = (tmp_path / "run" / "config.json").read_text()
    later = folder_of(tmp_path, **after)
    if refused:
        with pytest.raises(UserError, match=rf"another configuration \({refused}"):
            later.check()
        assert (tmp_path / "run" / "config.json").read_text() == text
        return
    assert later.check() == {}
    begin(tmp_path, **after)
    folder_of(tmp_path, **after).check()


def test_the_first_keys_that_differ_are_named(tmp_path):
    begin(tmp_path, **{name: 1 for name in "abcde"})
    with pytest.raises(UserError, match=r"\(a 1 -> 2, b 1 -> 2, c 1 -> 2, and 2 more\)"):
        folder_of(tmp_path, **{name: 2 for name in "abcde"}).check()


def test_numbers_are_strict_json_and_come_back(tmp_path):
    numbers = {"a": 1.5, "nan": float("nan"), "inf": float("inf")}
    folder = folder_of(tmp_path)
    with folder.held():
        made = Provenance("python p.py", "c1", True, "a processor", "a device", {})
        folder.add("main", 0, numbers, 2.0, "", made)
        folder.write([], made, {})
        read = folder.read(["main", "other"], [0])
    assert read["main"]["0"]["a"] == 1.5 and read.keys() == {"main"}
    assert all(read["main"]["0"][name] != read["main"]["0"][name] for name in ("nan", "inf"))
    for path in (tmp_path / "run").rglob("*.json"):
        json.loads(path.read_text(), parse_constant=pytest.fail)


@pytest.mark.parametrize("content", [b"", b"{", b"5", b"[]", b"null", b"\xff\xfe\x00", b"[" * 9999])
def test_a_damaged_description_is_refused_in_one_line(tmp_path, content):
    begin(tmp_path)
    (tmp_path / "run" / "config.json").write_bytes(content)
    with pytest.raises(UserError, match="config.json is damaged; put it back"):
        folder_of(tmp_path).check()


@pytest.mark.parametrize("number", [errno.ENAMETOOLONG, errno.EACCES, errno.EIO])
def test_a_folder_that_cannot_be_looked_at_is_refused(tmp_path, number, monkeypatch):
    def fail(path):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os.path, "lexists", fail)
    with pytest.raises(UserError, match="cannot be used") as error:
        folder_of(tmp_path).check()
    assert os.strerror(number) in str(error.value)


@pytest.mark.parametrize("content", [b"", b"[]", b'{"metrics": 5, "seconds": 1}', b"\xff"])
def test_damaged_files_of_a_finished_run_are_made_again(toy, tmp_path, content, caplog):
    assert run(toy, tmp_path / "run") == 0
    whole = outcome(tmp_path / "run")
    (tmp_path / "run" / "first" / "0" / "result.json").write_bytes(content)
    (tmp_path / "run" / "result.json").write_bytes(content)
    assert run(toy, tmp_path / "run") == 0
    assert "result.json is damaged; it is made again" in caplog.text
    assert difference(whole, outcome(tmp_path / "run")) == []


def test_lines_that_are_lost_are_said_to_be(toy, tmp_path, caplog):
    assert run(toy, tmp_path / "run") == 0
    folder = tmp_path / "run" / "first" / "0"
    (folder / "result.json").unlink()
    (folder / "metrics.jsonl").write_bytes(
        b'5\n[]\nnull\n{}\n\xff\n{"step": 4, "test/error": 1.0}\n'
    )
    assert run(toy, tmp_path / "run") == 0
    assert "metrics.jsonl lacks 1 of its lines up to step 8" in caplog.text


def test_seconds_are_those_of_all_sessions(toy, tmp_path):
    assert run(toy, tmp_path / "run") == 0
    path = tmp_path / "run" / "first" / "0" / "metrics.jsonl"
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    path.write_text("".join(json.dumps({**line, "seconds": 1000.0}) + "\n" for line in lines))
    (path.parent / "result.json").unlink()
    assert run(toy, tmp_path / "run") == 0
    assert 1000 < json.loads((path.parent / "result.json").read_text())["seconds"] < 1100


def test_more_steps_go_on_with_those_that_were_made(toy, tmp_path, caplog):
    """To the very state of a run that was so long from the start."""
    caplog.set_level("INFO", "landmarks")
    assert run(toy, tmp_path / "long", "--config.log_every_steps=4") == 0
    assert app.main(toy, [*short(), "--workdir", str(tmp_path / "run")]) == 0
    caplog.clear()
    assert run(toy, tmp_path / "run", "--config.log_every_steps=4") == 0
    assert "resuming from step 4" in caplog.text
    assert difference(outcome(tmp_path / "long"), outcome(tmp_path / "run")) == []


def short(*flags):
    more = ["--config.num_steps=4", "--config.eval_every_steps=4", "--config.log_every_steps=4"]
    return ["--arm=first", *more, *flags]


def test_more_steps_are_refused_where_a_schedule_knows_of_the_end(toy, tmp_path, capsys):
    decays = "--config.decay=true"
    assert app.main(toy, [*short(decays), "--workdir", str(tmp_path / "run")]) == 0
    before = outcome(tmp_path / "run")
    assert run(toy, tmp_path / "run", "--config.log_every_steps=4", decays) == 2
    assert "depends on how many there will be" in capsys.readouterr().err
    assert difference(before, outcome(tmp_path / "run")) == []


def test_an_interval_that_numbers_depend_on_may_not_change(toy, tmp_path, capsys):
    toy.Moments.reads_log = True
    assert run(toy, tmp_path / "run") == 0
    assert run(toy, tmp_path / "run", "--config.log_every_steps=7") == 2
    assert "another configuration (log_every_steps 5 -> 7)" in capsys.readouterr().err
