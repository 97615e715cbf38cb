"""Before a script runs: its log, its memory, its cache; and what it runs on, for its result."""

from __future__ import annotations

import importlib.metadata
import logging
import os
import platform
import sys
import threading
import warnings
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import jax

from research.core import UserError
from research.core.files import disk_failure

log = logging.getLogger("landmarks")


def use_huge_pages() -> None:
    """Starts this process anew with huge pages for XLA, where Linux leaves us the choice.

    XLA's CPU backend takes its buffers anew for every step, and the kernel then hands them out page
    by page: a third of a small Transformer's step. glibc reads this setting when a process starts.

    Only where nobody can notice: a plain `python script.py`, without a debugger, a profiler, a
    tracer or a second thread, and never in a notebook.
    """
    mode = Path("/sys/kernel/mm/transparent_hugepage/enabled")
    if "GLIBC_TUNABLES" in os.environ or not mode.exists() or "[madvise]" not in mode.read_text():
        return
    script = getattr(sys.modules["__main__"], "__file__", None) or ""
    if os.path.abspath(script) != os.path.abspath(sys.argv[0]):  # IPython, which runs a script
        return
    if sys.orig_argv[1:] != sys.argv or observed():
        return
    os.environ["GLIBC_TUNABLES"] = "glibc.malloc.hugetlb=1"
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


def observed() -> bool:
    """Whether somebody watches this process from within, or works in it beside us."""
    monitoring = getattr(sys, "monitoring", None)  # from Python 3.12 on
    tools = monitoring is not None and any(monitoring.get_tool(i) for i in range(6))
    watched = sys.gettrace() is not None or sys.getprofile() is not None or tools
    return watched or threading.active_count() > 1


class _Terminal(logging.StreamHandler):
    """Writes to what `sys.stderr` is at the time: a progress display puts lines above itself."""

    @property
    def stream(self) -> Any:
        return sys.stderr

    @stream.setter
    def stream(self, value: Any) -> None:
        pass


def quiet() -> None:
    """Our own log to the terminal; of the libraries', warnings alone."""
    logging.basicConfig(level=logging.WARNING, handlers=[_Terminal()])
    for handler in logging.getLogger().handlers:  # a library may have put one there before
        handler.setFormatter(logging.Formatter("%(message)s"))
    log.setLevel(logging.INFO)
    if logging.getLogger("absl").level < logging.ERROR:
        logging.getLogger("absl").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", category=DeprecationWarning)


def hush_threads() -> None:
    """Keeps threads of a library's from printing what is raised in the main thread as well.

    A checkpoint that cannot be written is hundreds of lines in a dozen threads otherwise.
    """
    logging.getLogger("absl").setLevel(logging.CRITICAL)
    before = threading.excepthook

    def report(failed: threading.ExceptHookArgs) -> None:
        of_orbax = type(failed.thread).__module__.startswith("orbax.")
        if not of_orbax and not (failed.exc_value and disk_failure(failed.exc_value)):
            before(failed)

    threading.excepthook = report


def keep_compiled_programs() -> None:
    """Keeps compiled programs in the user's cache folder, so that a second start is fast."""
    if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
        try:
            root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        except RuntimeError:  # a user without a home, as in containers
            log.info("no home folder: compiled programs are not kept for the next start")
            return
        jax.config.update("jax_compilation_cache_dir", str(root / "landmarks" / "jax"))
    for name, value in (
        ("jax_persistent_cache_min_compile_time_secs", 0.3),
        ("jax_persistent_cache_min_entry_size_bytes", -1),
    ):
        if name.upper() not in os.environ:  # the user's word
            jax.config.update(name, value)


def calling_module(names: dict[str, Any]) -> ModuleType:
    """The module of a script from its global names.

    Most often `__main__`, but under a profiler or tracer that is the profiler's own.
    """
    main = sys.modules["__main__"]
    if main.__dict__ is names:
        return main
    module = ModuleType(names["__name__"])
    module.__dict__.update(names)
    return module


# Switches of JAX's own that the loop does not go with, and why.
_SWITCHES: Mapping[str, str] = {
    "jax_enable_x64": "numbers here are of 32 bits, as are those that are published",
    "jax_debug_nans": "metrics are NaN where a step has nothing to report; a loss that is not "
    "finite stops the run by itself",
    "jax_debug_infs": "a loss that is not finite stops the run by itself",
    "jax_disable_jit": "a step is one compiled program, which nothing enters from outside",
}


def refuse_switches() -> None:
    """Refuses switches of JAX's that the loop does not go with.

    Raises:
      UserError: one of them is set.
    """
    for switch, reason in _SWITCHES.items():
        if getattr(jax.config, switch):
            raise UserError(f"unset {switch.upper()}: {reason}")


def check_devices() -> None:
    """Starts JAX's devices.

    Raises:
      UserError: there are none of the kind that was asked for.
    """
    try:
        jax.devices()
    except Exception as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
        asked = os.environ.get("JAX_PLATFORMS")
        said = f"JAX_PLATFORMS={asked}" if asked else "JAX"
        raise UserError(
            f"{said} finds no device to run on ({reason}); set JAX_PLATFORMS=cpu, or install JAX "
            "for the accelerator of this machine"
        ) from error


def device() -> str:
    """The devices of this run, for its result."""
    device = jax.devices()[0]
    cores = f", {os.cpu_count()} cores" if device.platform == "cpu" else ""
    return f"{jax.device_count()} x {device.device_kind} ({platform.machine()}{cores})"


def versions() -> dict[str, str]:
    """Versions of what the numbers depend on."""
    packages = ("landmarks", "jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "grain", "numpy")
    found = {"python": platform.python_version()}
    for package in packages:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:  # run from a source tree
            found[package] = "not installed"
    return found
