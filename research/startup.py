"""Before a script runs: its log, its memory, its cache; and what it runs on, for its result."""

from __future__ import annotations

import importlib.metadata
import logging
import os
import platform
import sys
import threading
import warnings
from pathlib import Path

import jax

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
    if sys.orig_argv[1:] != sys.argv or _observed():
        return
    os.environ["GLIBC_TUNABLES"] = "glibc.malloc.hugetlb=1"
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


def _observed() -> bool:
    """Whether somebody watches this process from within, or works in it beside us."""
    monitoring = getattr(sys, "monitoring", None)  # from Python 3.12 on
    tools = monitoring is not None and any(monitoring.get_tool(i) for i in range(6))
    watched = sys.gettrace() is not None or sys.getprofile() is not None or tools
    return watched or threading.active_count() > 1


def quiet() -> None:
    """Our own log to the terminal; of the libraries', warnings alone."""
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    for handler in logging.getLogger().handlers:  # a library may have put one there before
        handler.setFormatter(logging.Formatter("%(message)s"))
    log.setLevel(logging.INFO)
    logging.getLogger("absl").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", category=DeprecationWarning)


def keep_compiled_programs() -> None:
    """Keeps compiled programs in the user's cache folder, so that a second start is fast."""
    if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
        root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        jax.config.update("jax_compilation_cache_dir", str(root / "landmarks" / "jax"))
    for name, value in (
        ("jax_persistent_cache_min_compile_time_secs", 0.3),
        ("jax_persistent_cache_min_entry_size_bytes", -1),
    ):
        if name.upper() not in os.environ:  # the user's word
            jax.config.update(name, value)


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
