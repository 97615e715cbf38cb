"""What all tests share: CPU devices, and compiled programs kept for the length of one run."""

import contextlib
import ctypes
import gc
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # `tests.training.toy`

os.environ["JAX_PLATFORMS"] = "cpu"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # C++ notices, also of child processes

from tests import mutants  # noqa: E402

mutants.install()  # breaks one place of the source, where the environment asks for it

# Tests compile far more than they compute; benchmarks are about what is computed.
_FAST = "--xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
# A third to a half of what is left of compilation; XLA ends a process over a flag it does not know.
_FASTER = f"{_FAST} --xla_cpu_use_fusion_emitters=false --xla_cpu_parallel_codegen_split_count=1"


def _known(flags: str) -> bool:
    """Whether this version of XLA knows these flags."""
    code = "import jax; jax.devices()"
    env = {**os.environ, "XLA_FLAGS": flags}
    return (
        subprocess.run([sys.executable, "-c", code], env=env, capture_output=True).returncode == 0
    )


if "PYTEST_XDIST_WORKER" not in os.environ and not any("benchmarks" in a for a in sys.argv):
    _FLAGS = _FASTER if _known(_FASTER) else _FAST
    os.environ["XLA_FLAGS"] = f"{_FLAGS} {os.environ.get('XLA_FLAGS', '')}"

_OWN = "PYTEST_XDIST_WORKER" not in os.environ and "JAX_COMPILATION_CACHE_DIR" not in os.environ
if _OWN:  # the workers of xdist and the scripts that tests start inherit it
    os.environ["JAX_COMPILATION_CACHE_DIR"] = tempfile.mkdtemp(prefix="landmarks-test-")
    os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
    os.environ["JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES"] = "-1"


_GROWTH = 2**29  # bytes
_allowed = 2 * 2**30  # of a worker's memory


def pytest_unconfigure():
    if _OWN:
        shutil.rmtree(os.environ["JAX_COMPILATION_CACHE_DIR"], ignore_errors=True)


def pytest_runtest_teardown():
    """Forgets compiled programs where a worker has grown large.

    They are kept for the life of a process, and thousands of tests would come to gigabytes. What is
    used again comes back from the cache on disk.
    """
    global _allowed
    if _resident() > _allowed:
        import jax

        jax.clear_caches()
        gc.collect()
        with contextlib.suppress(OSError, AttributeError):  # where the C library is another
            ctypes.CDLL("libc.so.6").malloc_trim(0)
        _allowed = max(_allowed, _resident() + _GROWTH)


def _resident() -> int:
    """Bytes of this process in memory; 0 where the system does not say."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except (OSError, ValueError, IndexError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")
