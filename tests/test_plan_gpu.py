"""Plans of runs on GPUs and of trainings of several processes, with made-up devices."""

import pytest
import torch
from training_inputs import METHODS

from ldct.cli import main
from ldct.commands.cost import merged_configuration
from ldct.configuration import resolve_run
from ldct.device_slots import held_slots
from ldct.errors import InputError
from ldct.plan import check_processes, held_volume_mb, list_jobs, plan_stages
from ldct.schedule import Job, run_on
from ldct.training import devices

REPOSITORY = METHODS.parent
CPU, GPU = torch.device("cpu"), torch.device("cuda", 1)
PAPER_VOLUME_MB = 5092 * 512 * 512 * 2 * 2 / 2**20


def settings_of(*overlays: str, **engine) -> dict:
    paths = [REPOSITORY / "config" / name for name in overlays]
    settings = resolve_run(merged_configuration(paths), REPOSITORY)
    settings["engine"] = settings["engine"] | engine
    return settings


@pytest.fixture
def measured(monkeypatch):
    """What a step took, for each call of the process that measures: its arguments."""
    given = []

    def measure(_function, *arguments):
        given.append(arguments)
        peak_gpu = 3000.0 if arguments[4].startswith("cuda") else None
        return {
            "seconds_per_step": 0.5,
            "peak_small": 900.0,
            "peak_large": 1000.0,
            "peak_gpu": peak_gpu,
        }

    monkeypatch.setattr("ldct.plan.probes.in_fresh_process", measure)
    return given


def test_plan_measures_on_a_gpu_that_no_job_holds(tmp_path, monkeypatch, capsys):
    """A run holds the first of two made-up GPUs; no job can take the second meanwhile."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", lambda device: None)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "made-up")
    monkeypatch.setattr(devices, "gpu_identity", lambda device: f"GPU-{device.index}")
    monkeypatch.setattr(devices, "lock_folder", lambda: tmp_path)
    seen = []

    def make_plan(_settings, _data, *, gpus, device, **_):
        with (
            pytest.raises(InputError, match="no device was free"),
            held_slots(["GPU-1"], 1, tmp_path, 1, timeout=0),
        ):
            pass
        seen.append((str(device), gpus))
        return {}

    monkeypatch.setattr("ldct.plan.make_plan", make_plan)
    monkeypatch.setattr("ldct.reporting.plan_text.plan_text", lambda *_: "the plan")
    with held_slots(["GPU-0"], 1, tmp_path, 1):
        assert main(["plan", "--gpus", "2"]) == 0
    assert seen == [("cuda:1", 2)]
    assert "running on cuda:1" in capsys.readouterr().err
    with held_slots(["GPU-1"], 1, tmp_path, 1, timeout=0):
        pass


def test_memory_of_gpus_and_of_the_machine_are_kept_apart(measured):
    """DRL of the paper: 1000 MiB and libraries' pages here, 3000 MiB and the volumes there."""
    settings = settings_of("paper.yaml")
    stage = plan_stages(settings, 281_660, 8, PAPER_VOLUME_MB, GPU)["drl"]
    assert 1000 < stage["peak_memory_mb"] < 1500
    assert stage["peak_gpu_memory_mb"] == pytest.approx(3000 + PAPER_VOLUME_MB)
    assert stage["seconds_per_step"] == 0.5
    on_cpu = plan_stages(settings, 281_660, 8, PAPER_VOLUME_MB, CPU)["drl"]
    assert on_cpu["peak_gpu_memory_mb"] is None
    assert on_cpu["peak_memory_mb"] > PAPER_VOLUME_MB


def test_gpu_memory_is_that_of_the_jobs_that_may_share_one():
    jobs = [Job(name, 10.0, gpus=1, memory_mb=5, gpu_memory_mb=mb) for name, mb in JOBS_MB.items()]
    assert run_on(jobs, 8, 2) == (20, 10, 300)
    assert run_on(jobs, 8, 1, jobs_per_gpu=2) == (20, 10, 350)
    assert run_on(jobs, 8, 2, jobs_per_gpu=2) == (10, 20, 500)


JOBS_MB = {"a": 100, "b": 200, "c": 300, "d": 50}


def test_volumes_count_where_they_are_held(tmp_path, monkeypatch):
    """Eight patients of the paper: 5.3 GB, on a GPU that has twice as much."""
    settings = settings_of("paper.yaml")
    for free_gb, held in ((12, PAPER_VOLUME_MB), (10, 0)):
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _, gb=free_gb: (gb * 10**9, 0))
        assert held_volume_mb(settings, tmp_path, GPU) == pytest.approx(held)
    assert held_volume_mb(settings, tmp_path, CPU) == 0
    always, never = (settings_of("paper.yaml", volumes_on_device=on) for on in (True, False))
    assert held_volume_mb(always, tmp_path, CPU) == pytest.approx(PAPER_VOLUME_MB)
    assert held_volume_mb(never, tmp_path, GPU) == 0


def test_training_of_several_processes_is_timed_by_the_part_of_one(measured):
    """Batch 32 shared by four: 8 tiles each, on four GPUs, with the memory of four processes."""
    settings = settings_of("paper.yaml", processes=4)
    stages = plan_stages(settings, 281_660, 8, 0.0, GPU)
    assert {arguments[3] for arguments in measured} == {8}
    assert stages["drl"]["seconds_per_step"] == 0.5
    assert stages["drl"]["peak_memory_mb"] > 4 * 1000
    assert stages["drl"]["peak_gpu_memory_mb"] == 3000
    jobs = list_jobs(settings, {"drl": stages["drl"]}, {}, {}, 8, GPU)
    assert {(job.cores, job.gpus) for job in jobs} == {(4, 4)}
    with pytest.raises(InputError, match=r"--gpus: found 2 for engine\.processes: 4"):
        check_processes(settings, 2, GPU)
    check_processes(settings, 4, GPU)
