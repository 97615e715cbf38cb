import pytest

from research.core.errors import UserError
from research.training import hosts
from tests.training.toy import free_port

SLURM = {
    "SLURM_JOB_ID": "4711",
    "SLURM_STEP_NODELIST": "node[07-08]",
    "SLURM_NTASKS": "4",
    "SLURM_STEP_NUM_TASKS": "4",
    "SLURM_PROCID": "3",
    "SLURM_LOCALID": "1",
}
MPI = {
    "OMPI_COMM_WORLD_SIZE": "2",
    "OMPI_COMM_WORLD_RANK": "1",
    "OMPI_COMM_WORLD_LOCAL_RANK": "1",
    "OMPI_COMM_WORLD_LOCAL_SIZE": "2",
}
POD = {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "JOB_COMPLETION_INDEX": "2"}
EXPLICIT = {
    "JAX_COORDINATOR_ADDRESS": "host:1234",
    "JAX_NUM_PROCESSES": "4",
    "JAX_PROCESS_ID": "2",
}


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"SLURM_JOB_ID": "4711", "SLURM_NTASKS": "4", "SLURM_PROCID": "0"},  # sbatch without srun
        SLURM | {"SLURM_STEP_NUM_TASKS": "1"},
        {"OMPI_COMM_WORLD_SIZE": "1", "OMPI_COMM_WORLD_RANK": "0"},
        {"KUBERNETES_SERVICE_HOST": "10.0.0.1"},
        POD | {"JAX_NUM_PROCESSES": "1"},
    ],
)
def test_a_process_on_its_own_joins_nobody(environ):
    assert hosts.detect(environ) is None


def test_explicit_variables():
    assert hosts.detect(EXPLICIT) == {
        "coordinator_address": "host:1234",
        "num_processes": 4,
        "process_id": 2,
        "cluster_detection_method": "deactivate",
    }


def test_kubernetes_takes_the_number_from_the_indexed_job():
    pod = POD | {"JAX_NUM_PROCESSES": "4", "JAX_COORDINATOR_ADDRESS": "job-0.pods:1234"}
    found = hosts.detect(pod)
    assert found["process_id"] == 2 and found["coordinator_address"] == "job-0.pods:1234"


def test_slurm_and_mpi_leave_the_address_to_jax():
    found = hosts.detect(SLURM)
    assert found == {"coordinator_address": None, "num_processes": 4, "process_id": 3}
    found = hosts.detect(MPI | {"OMPI_MCA_orte_hnp_uri": "1531576320.0;tcp://10.96.0.1:34911"})
    assert found == {"coordinator_address": None, "num_processes": 2, "process_id": 1}


def test_failure_to_join_is_one_line(monkeypatch):
    given = {}

    def initialize(**arguments):
        given.update(arguments)
        raise RuntimeError("DEADLINE_EXCEEDED: barrier\nand a long trace")

    for name, value in SLURM.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("jax.distributed.initialize", initialize)
    with pytest.raises(UserError, match=r"cannot join .*\(DEADLINE_EXCEEDED: barrier\)") as error:
        hosts.initialize()
    assert given == hosts.detect(SLURM)
    assert "\n" not in str(error.value)


def test_open_mpi_5_on_one_machine():
    first = hosts.detect(MPI | {"PMIX_NAMESPACE": "prterun-a-1@1"})["coordinator_address"]
    other = hosts.detect(MPI | {"PMIX_NAMESPACE": "prterun-a-2@1"})["coordinator_address"]
    assert first.startswith("127.0.0.1:") and first != other
    with pytest.raises(UserError, match="several machines"):
        hosts.detect(MPI | {"OMPI_COMM_WORLD_LOCAL_SIZE": "1"})


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({"JAX_PROCESS_ID": "1"}, "JAX_PROCESS_ID is set but JAX_NUM_PROCESSES is not"),
        (POD, "JOB_COMPLETION_INDEX is set but JAX_NUM_PROCESSES is not"),
        ({"JAX_NUM_PROCESSES": "2"}, "set JAX_PROCESS_ID to 0 ... 1"),
        (EXPLICIT | {"JAX_PROCESS_ID": "4"}, "process 4 of 4"),
        (EXPLICIT | {"JAX_NUM_PROCESSES": "two"}, "JAX_NUM_PROCESSES=two is not a number"),
        (EXPLICIT | {"JAX_COORDINATOR_ADDRESS": "host"}, "has no port"),
        ({"JAX_NUM_PROCESSES": "2", "JAX_PROCESS_ID": "0"}, "JAX_COORDINATOR_ADDRESS is not set"),
    ],
)
def test_what_is_missing_is_said_in_one_line(environ, said):
    with pytest.raises(UserError, match=said) as error:
        hosts.detect(environ)
    assert "\n" not in str(error.value)


def test_a_silent_coordinator_is_an_error_and_not_an_abort():
    with pytest.raises(UserError, match="no answer from process 0"):
        hosts.wait_for(f"127.0.0.1:{free_port()}", seconds=0.0)
