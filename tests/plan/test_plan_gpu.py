"""Plans of runs on GPUs and of trainings of several processes, with made-up devices."""

import pytest
import torch
from training_inputs import METHODS

from ldct.common.errors import InputError
from ldct.configuration.resolve import resolve_run
from ldct.cost import probes
from ldct.devices.engine import Engine
from ldct.plan import probes as plan_probes
from ldct.plan.estimate import check_processes, held_volume_mb, list_jobs, plan_stages
from ldct.plan.schedule import run_on
from ldct.plan.text import plan_text
from ldct.plan.verbs import merged_configuration

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
        found = {"seconds_per_step": 0.5, "peak_small": 900.0, "peak_large": 1000.0}
        return found | {"peak_gpu": 3000.0 if arguments[4].startswith("cuda") else None}

    monkeypatch.setattr("ldct.plan.estimate.probes.in_fresh_process", measure)
    return given


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


def test_volumes_count_where_they_are_held(monkeypatch):
    """Eight patients of the paper: 5.3 GB, on a GPU that has twice as much."""
    settings = settings_of("paper.yaml")
    for free_gb, held in ((12, PAPER_VOLUME_MB), (10, 0)):
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _, gb=free_gb: (gb * 10**9, 0))
        assert held_volume_mb(settings, GPU) == pytest.approx(held)
    assert held_volume_mb(settings, CPU) == 0
    always, never = (settings_of("paper.yaml", volumes_on_device=on) for on in (True, False))
    assert held_volume_mb(always, CPU) == pytest.approx(PAPER_VOLUME_MB)
    assert held_volume_mb(never, GPU) == 0


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


def test_processes_take_turns_on_fewer_cores(measured):
    """A step of four processes takes twice as long on two cores as on four."""
    settings = settings_of("paper.yaml", processes=4)
    four, two = (plan_stages(settings, 1000, cores, 0.0, CPU)["drl"] for cores in (4, 2))
    assert two["seconds_per_step"] == 2 * four["seconds_per_step"]
    assert (four["cores"], two["cores"]) == (4, 2)
    jobs = list_jobs(settings, {"drl": two}, {}, {}, 2, CPU)
    assert run_on(jobs, 2, 0).seconds == pytest.approx(two["seconds"] * len(jobs))


@pytest.mark.parametrize(
    ("engine", "device", "calls"),
    [
        (Engine(), CPU, 1),
        (Engine(compile=True), CPU, 3),
        (Engine(compile=True, cuda_graphs=True), GPU, 3),
    ],
)
def test_compiling_and_recording_are_not_timed(monkeypatch, engine, device, calls):
    made, timed = [], []

    def training_step(_stage, _models, batch, *_):
        return lambda: made.append(batch)

    def clock(work, _device):
        timed.append(len(made))
        work()
        return 3.0

    monkeypatch.setattr(probes, "training_step", training_step)
    monkeypatch.setattr(probes, "timed", clock)
    monkeypatch.setattr(torch.cuda, "set_device", lambda _: None)
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda _: 5 * 2**20)
    how = ("fp32", engine, plan_probes.THOROUGH)
    found = plan_probes.steps_of_two_sizes({}, {}, 2, 8, str(device), *how)
    assert timed == [1 + calls]
    steps = len(made) - timed[0]
    assert steps >= 2
    assert found["seconds_per_step"] == 3.0 / steps
    assert found["peak_gpu"] == (5 if device == GPU else None)
    assert found["peak_large"] > 100


def test_text_warns_of_memory_that_will_not_do():
    stage = {"steps": 10, "batch": 32, "cores": 1, "seconds_per_step": 0.01, "seconds": 0.1}
    stage |= {"peak_memory_mb": 4000.0, "peak_gpu_memory_mb": 9000.0, "requested_memory_mb": 2500}
    total = {"job_hours": 1.0, "clock_hours": 0.5, "peak_memory_mb": 4000.0}
    total |= {"machine_memory_mb": 64e3, "peak_gpu_memory_mb": 18e3, "gpu_memory_mb": 16e3}
    plan = {"run": "r", "dataset": "d", "budget": "b", "seeds": 1, "folds": 1, "device": "cuda:0"}
    plan |= {"precision": "bf16", "engine": ["cuda_graphs"], "processes": 2, "torchrun": ["--x"]}
    plan |= {"without_slices": []}
    plan |= {"volumes_on_device_mb": 5092.0, "inference_precision": "fp32", "cores": 8, "gpus": 2}
    plan |= {"jobs_per_gpu": 2, "tiles": 100, "tiles_from": "estimate", "test_slices": 9}
    plan |= {"stages": {"drl": stage}, "methods": {}, "total": total}
    text = plan_text(plan)
    for expected in (
        "8 cores and 2 GPUs about",
        "3.9 GiB of memory and 17.6 GiB of a GPU (volumes: 5.0 GiB for each training)",
        "This GPU has 15.6 GiB: set jobs_per_gpu: 1",
        "the rule train asks for: drl; where memory is limited run with --set-resources "
        "train:mem_mb=4400",
        "shared among 2 processes",
        "each on a GPU of its own",
        "Further machines",
        "up to 2 that share a GPU slow each other",
        "GPU MiB",
    ):
        assert expected in text
    assert "This machine has" not in text
    on_cpu = {**plan, "gpus": 0, "processes": 16}
    on_cpu["total"] = total | {"peak_gpu_memory_mb": None, "gpu_memory_mb": None}
    on_cpu["total"] |= {"peak_memory_mb": 37e3, "machine_memory_mb": 16384}
    on_cpu["stages"] = {"drl": stage | {"requested_memory_mb": 5000}}
    text = plan_text(on_cpu)
    assert "This machine has 16.0 GiB" in text and "mem_mb=16384" in text
    assert "in turns on 8 cores" in text
    assert "of a GPU" not in text and "Warning" not in text
