"""Joining the processes of one run: explicit variables, SLURM, Open MPI, Kubernetes, TPU pods."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import logging
import os
import socket
import time
import zlib
from collections.abc import Mapping
from typing import Any

import jax

from research.core.errors import UserError
from research.training import peer_failure, stopping

log = logging.getLogger("landmarks")

_PATIENCE = 300.0  # seconds that a process waits for the first one to come up
_EXPLICIT = ("JAX_COORDINATOR_ADDRESS", "JAX_NUM_PROCESSES", "JAX_PROCESS_ID")


def initialize() -> None:
    """Joins the other processes of this run; does nothing where this process is the only one.

    From then on each of them notices when another one has gone.

    To be called before the first use of a device. Processes on CPUs talk through Gloo.

    Raises:
      UserError: the variables contradict each other, or the other processes cannot be reached.
    """
    _skip_absent_tpu()
    arguments = detect(os.environ)
    # JAX puts TPUs first by itself where it finds their chips; how many hosts there are, it asks
    # the machine's metadata.
    on_tpu = "tpu" in (_platforms() or "").split(",")
    if arguments is None and (not on_tpu or "JAX_NUM_PROCESSES" in os.environ):
        return
    if arguments is not None:
        log.info("process %d of %d", arguments["process_id"], arguments["num_processes"])
        if arguments["process_id"] and arguments["coordinator_address"]:
            wait_for(arguments["coordinator_address"], _PATIENCE)
    try:
        jax.distributed.initialize(**(arguments or {}))
    except Exception as error:
        if arguments is None and "coordinator_address should be defined" in str(error):
            return  # a TPU that belongs to no pod
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        where = (arguments or {}).get("coordinator_address") or "the coordinator"
        raise UserError(
            f"cannot join the other processes through {where} ({reason}); "
            f"set {', '.join(_EXPLICIT)}, or JAX_NUM_PROCESSES=1 for a process on its own"
        ) from error
    stopping.take_signals()  # JAX's service has taken SIGTERM
    peer_failure.watch_peers()


def detect(environ: Mapping[str, str]) -> dict[str, Any] | None:
    """Arguments for `jax.distributed.initialize`, or None where one process is meant.

    What JAX_COORDINATOR_ADDRESS, JAX_NUM_PROCESSES and JAX_PROCESS_ID leave open is taken from the
    launcher: `srun` (of its step: a script in an allocation is one process until `srun` starts it),
    `mpirun`, or the pod's index in an Indexed Job of Kubernetes.

    Raises:
      UserError: several processes are meant, but not all that is needed is known.
    """
    slurm = "SLURM_STEP_NUM_TASKS" in environ
    mpi = "OMPI_COMM_WORLD_SIZE" in environ
    number = _first(environ, "JAX_NUM_PROCESSES", "SLURM_STEP_NUM_TASKS", "OMPI_COMM_WORLD_SIZE")
    index = _first(
        environ,
        "JAX_PROCESS_ID",
        *(["SLURM_PROCID"] if slurm else []),
        "OMPI_COMM_WORLD_RANK",
        "JOB_COMPLETION_INDEX",
    )
    address = environ.get("JAX_COORDINATOR_ADDRESS")
    if number is None:
        given = [name for name in _EXPLICIT if name in environ]
        if "KUBERNETES_SERVICE_HOST" in environ and "JOB_COMPLETION_INDEX" in environ:
            given.append("JOB_COMPLETION_INDEX")
        if given:
            raise UserError(
                f"{given[0]} is set but JAX_NUM_PROCESSES is not; set it to the number of "
                "processes of this run (1 for processes that are independent runs)"
            )
        return None
    if number == 1:
        return None
    if index is None:
        raise UserError(
            f"{number} processes are meant but this one has no number; set JAX_PROCESS_ID to "
            f"0 ... {number - 1}"
        )
    if not 0 <= index < number:
        raise UserError(f"process {index} of {number}: set JAX_PROCESS_ID to 0 ... {number - 1}")
    if address is None and mpi and not slurm and "OMPI_MCA_orte_hnp_uri" not in environ:
        address = _open_mpi_5(environ)
    if address is None and not (slurm or mpi):
        raise UserError(
            f"{number} processes are meant but JAX_COORDINATOR_ADDRESS is not set; set it to "
            "host:port of process 0"
        )
    if address is not None:
        port = address.rpartition(":")[2]
        if not (port.isdecimal() and 0 < int(port) < 65536):
            raise UserError(
                f"JAX_COORDINATOR_ADDRESS={address} has no port (1 to 65535); set it to host:port"
            )
    arguments: dict[str, Any] = {
        "coordinator_address": address,
        "num_processes": number,
        "process_id": index,
    }
    if not (slurm or mpi):  # under these, JAX gives each process of a machine a GPU of its own
        arguments["cluster_detection_method"] = "deactivate"
    return arguments


def _platforms() -> str | None:
    return jax.config.jax_platforms  # type: ignore[attr-defined]


def _skip_absent_tpu() -> None:
    """Keeps JAX from starting libtpu, installed for dry runs, on a machine that has no TPU."""
    accelerators = importlib.metadata.entry_points(group="jax_plugins")
    if _platforms() is None and importlib.util.find_spec("libtpu") and not accelerators:
        jax.config.update("jax_platforms", "cpu")


def wait_for(address: str, seconds: float) -> None:
    """Waits until something listens at host:port. JAX's own wait ends in an abort.

    Raises:
      UserError: nothing does, for that long.
    """
    host, _, port = address.rpartition(":")
    end = time.monotonic() + seconds
    while True:
        try:
            socket.create_connection((host.strip("[]"), int(port)), timeout=5.0).close()
            return
        except OSError as error:
            if time.monotonic() > end:
                raise UserError(
                    f"no answer from process 0 at {address} for {seconds:.0f} s ({error}); "
                    "check JAX_COORDINATOR_ADDRESS and that all processes were started"
                ) from error
            time.sleep(0.2)


def _first(environ: Mapping[str, str], *names: str) -> int | None:
    for name in names:
        if name in environ:
            if not environ[name].isdecimal():
                raise UserError(f"{name}={environ[name]} is not a number")
            return int(environ[name])
    return None


def _open_mpi_5(environ: Mapping[str, str]) -> str:
    """Coordinator where Open MPI (5 or newer) says nothing of where its launcher runs."""
    if environ.get("OMPI_COMM_WORLD_LOCAL_SIZE") != environ["OMPI_COMM_WORLD_SIZE"]:
        raise UserError(
            "mpirun started processes on several machines but does not say where the first is; "
            "set JAX_COORDINATOR_ADDRESS to its host:port (mpirun -x JAX_COORDINATOR_ADDRESS=...)"
        )
    job = environ.get("PMIX_NAMESPACE", "")
    return f"127.0.0.1:{61440 + zlib.crc32(job.encode()) % 4096}"  # two jobs, two ports
