"""A process restarts with huge pages only where nobody can notice."""

from types import ModuleType

import pytest

from research import startup


@pytest.fixture
def plain_start(monkeypatch):
    """As after `python script.py`, watched by nobody, whatever runs these tests."""
    script = ModuleType("__main__")
    script.__file__ = "script.py"
    monkeypatch.setitem(startup.sys.modules, "__main__", script)
    monkeypatch.setattr(startup.sys, "argv", ["script.py"])
    monkeypatch.setattr(startup.sys, "orig_argv", ["python", "script.py"])
    monkeypatch.setattr(startup, "observed", lambda: False)


def test_a_debugger_a_profiler_and_a_thread_are_noticed(monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(startup.sys, "gettrace", lambda: None)
        patch.setattr(startup.sys, "getprofile", lambda: None)
        patch.setattr(startup.threading, "active_count", lambda: 1)
        assert not startup.observed()
        for target, name, value in (
            (startup.sys, "gettrace", lambda: print),
            (startup.sys, "getprofile", lambda: print),
            (startup.threading, "active_count", lambda: 2),
        ):
            with monkeypatch.context() as inner:
                inner.setattr(target, name, value)
                assert startup.observed()


@pytest.mark.parametrize(
    "before", [["-m", "pdb"], ["-m", "cProfile"], ["/opt/pydevd.py", "--file"]]
)
@pytest.mark.usefixtures("plain_start")
def test_no_restart_under_a_launcher(before, monkeypatch):
    monkeypatch.setattr(startup.sys, "orig_argv", ["python", *before, *startup.sys.argv])
    monkeypatch.setattr(startup.Path, "read_text", lambda path: "x [madvise] y")
    monkeypatch.setattr(startup.Path, "exists", lambda path: True)
    monkeypatch.delenv("GLIBC_TUNABLES", raising=False)
    monkeypatch.setattr(startup.os, "execv", lambda *arguments: pytest.fail("restarted"))
    startup.use_huge_pages()


@pytest.mark.parametrize(("mode", "restarts"), [("[madvise]", 1), ("[always]", 0), ("[never]", 0)])
@pytest.mark.usefixtures("plain_start")
def test_huge_pages_where_linux_leaves_the_choice(mode, restarts, monkeypatch):
    started = []
    monkeypatch.setenv("GLIBC_TUNABLES", "")  # so that it is put back in the end
    monkeypatch.delenv("GLIBC_TUNABLES")
    monkeypatch.setattr(startup.Path, "exists", lambda path: True)
    monkeypatch.setattr(startup.Path, "read_text", lambda path: f"x {mode} y")
    monkeypatch.setattr(startup.os, "execv", lambda *arguments: started.append(arguments))
    startup.use_huge_pages()
    startup.use_huge_pages()  # the new process does not start another
    assert len(started) == restarts
    assert "GLIBC_TUNABLES" not in startup.os.environ or restarts
