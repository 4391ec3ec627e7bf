"""A SLURM of one node with a made-up GPU, with ports, keys and folders of its own.

Needs the programs of the Debian packages slurmctld, slurmd, slurm-client and munge; no root.
"""

import getpass
import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

# Debian has daemons where the path of a user does not look.
PROGRAMS = os.pathsep.join([os.getenv("PATH", os.defpath), "/usr/sbin"])
DAEMONS = ("munged", "slurmctld", "slurmd")
CLIENTS = ("sbatch", "srun", "squeue", "scancel", "scontrol", "sinfo", "sacct", "sacctmgr")
# Of util-linux: daemons do not outlive a test that is killed.
WITH_THIS_PROCESS = ["setpriv", "--pdeathsig", "TERM"]
CPUS, MEMORY_MB, SECONDS_TO_START = 8, 64000, 60
CONFIGURATION = """
ClusterName=one
SlurmctldHost={host}(127.0.0.1)
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
SlurmctldPort={controller}
SlurmdPort={node}
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
MpiDefault=none
JobAcctGatherType=jobacct_gather/linux
AccountingStorageType=accounting_storage/none
ReturnToService=2
MinJobAge=3600
KillWait=10
SchedulerParameters=batch_sched_delay=0,sched_min_interval=0
# More cores than the machine may have: what is tried here is who waits for what, not speed.
SlurmdParameters=config_overrides
GresTypes=gpu
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory={memory} Gres=gpu:1 State=UNKNOWN
PartitionName=main Nodes={host} Default=YES MaxTime=INFINITE State=UP
"""


def missing_programs() -> list[str]:
    """Programs of SLURM and munge that are not installed."""
    return [
        name
        for name in ("setpriv", *DAEMONS, *CLIENTS)
        if shutil.which(name, path=PROGRAMS) is None
    ]


@contextmanager
def one_node(folder: Path) -> Iterator[Mapping[str, str]]:
    """Run a controller and a node; yields the environment in which their commands are found.

    folder : new, of a short path (a socket lies in it); logs and state go there.
    """
    folder.mkdir(parents=True)
    environment = write_configuration(folder)
    with ExitStack() as daemons:
        for command in (
            ["munged", "--foreground", "--force", *munge_options(folder)],
            ["slurmctld", "-D", "-c"],
            ["slurmd", "-D", "-c"],
        ):
            daemons.enter_context(running(command, folder, environment))
        wait_until_idle(folder, environment)
        try:
            yield environment
        finally:
            call(environment, "scancel", "--state=PENDING", "--user", getpass.getuser())
            call(environment, "scancel", "--signal=KILL", "--full", "--user", getpass.getuser())


def write_configuration(folder: Path) -> dict[str, str]:
    """Write keys, configuration and commands; returns the environment that uses them."""
    for name in ("state", "spool", "bin"):
        (folder / name).mkdir()
    (folder / "gpu0").touch()
    key = folder / "munge.key"
    key.touch(mode=0o600)
    key.write_bytes(secrets.token_bytes(1024))
    key.chmod(0o400)
    host = socket.gethostname().split(".")[0]
    text = CONFIGURATION.format(
        host=host,
        user=getpass.getuser(),
        folder=folder,
        controller=free_port(),
        node=free_port(),
        cpus=CPUS,
        memory=MEMORY_MB,
    )
    (folder / "slurm.conf").write_text(text, encoding="utf-8")
    # A bare count would drain the node.
    (folder / "gres.conf").write_text(f"Name=gpu File={folder}/gpu0\n", encoding="utf-8")
    # The executor takes SLURM's variables from its jobs: commands bring their configuration.
    for name in CLIENTS:
        script = folder / "bin" / name
        program = shutil.which(name, path=PROGRAMS)
        script.write_text(f'#!/bin/sh\nSLURM_CONF={folder}/slurm.conf exec {program} "$@"\n')
        script.chmod(0o755)
    path = os.pathsep.join([str(folder / "bin"), PROGRAMS])
    return os.environ | {"PATH": path, "SLURM_CONF": str(folder / "slurm.conf")}


def munge_options(folder: Path) -> list[str]:
    files = {"key-file": "key", "socket": "socket", "pid-file": "pid"}
    files |= {"log-file": "log", "seed-file": "seed"}
    return [f"--{option}={folder}/munge.{name}" for option, name in files.items()]


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@contextmanager
def running(command: list[str], folder: Path, environment: Mapping[str, str]) -> Iterator[None]:
    """Run a daemon in a session of its own, and end all of it."""
    with (folder / f"{command[0]}.out").open("wb") as output:
        process = subprocess.Popen(
            [*WITH_THIS_PROCESS, *command],
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            yield
        finally:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def wait_until_idle(folder: Path, environment: Mapping[str, str]) -> None:
    """Until the node takes jobs; RuntimeError with the logs' ends where it does not."""
    deadline = time.monotonic() + SECONDS_TO_START
    while time.monotonic() < deadline:
        if call(environment, "sinfo", "--noheader", "--format=%T").strip() == "idle":
            return
        time.sleep(0.2)
    logs = [path.read_text(errors="replace")[-800:] for path in folder.glob("*.[lo]*[gt]")]
    raise RuntimeError("the node did not start:\n" + "\n".join(logs))


def call(environment: Mapping[str, str], *command: str) -> str:
    """What a command of SLURM prints."""
    outcome = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=60, check=False
    )
    return outcome.stdout


def job_list(environment: Mapping[str, str]) -> list[dict[str, str]]:
    """Jobs so far, by number: number, rule and wildcards, state, GPUs, time, memory, restarts.

    From the controller's memory: there is no accounting.
    """
    found = []
    for line in call(environment, "scontrol", "--oneliner", "show", "jobs").splitlines():
        fields = dict(word.partition("=")[::2] for word in line.split())
        if "JobId" in fields:
            gpus = fields.get("TresPerJob", "").partition("gpu:")[2]
            found.append(
                {
                    "job": fields["JobId"],
                    "rule": fields.get("Comment", ""),
                    "state": fields["JobState"],
                    "gpus": gpus or "0",
                    "time": fields["TimeLimit"],
                    "memory": fields["MinMemoryNode"],
                    "restarts": fields.get("Restarts", "0"),
                }
            )
    return sorted(found, key=lambda job: int(job["job"]))
