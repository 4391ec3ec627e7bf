"""A plan as text for a terminal."""

from collections.abc import Mapping, Sequence
from typing import Any

from ldct.reporting.bench_tables import number

NOT_COUNTED = (
    "Not counted: reading DICOM, dose simulation, metrics and figures (minutes), validation during "
    "training, and slices added for lesions."
)
ON_A_GPU = (
    "On a GPU the gathering of tiles is not counted either, and memory is that of PyTorch's "
    "tensors: CUDA itself and what PyTorch keeps for later take more."
)
ACCURACY = (
    "From timings of seconds on made-up images: expect the real run within a third, more on a busy "
    "machine."
)


def plan_text(plan: Mapping[str, Any]) -> str:
    """The plan as a table of stages, a table of methods, totals, and what they leave out."""
    total, gpus = plan["total"], plan["gpus"]
    resources = f"{plan['cores']} cores"
    if gpus:
        resources += f" and {gpus} {'GPU' if gpus == 1 else 'GPUs'}"
    lines = [
        f"Plan of run {plan['run']}: {plan['dataset']}; {plan['budget']}; seeds: {plan['seeds']}",
        f"{plan['tiles']:,} training tiles ({plan['tiles_from']}); {plan['test_slices']:,} test "
        f"slices; device {plan['device']}; {resources}",
        f"Training in {', '.join([plan['precision'], *plan['engine']])}; inference in "
        f"{plan['inference_precision']}",
        "",
        *aligned(stage_rows(plan)),
        "",
        *aligned(method_rows(plan)),
        "",
        f"All jobs one after the other {duration(total['job_hours'] * 3600)}; with {resources} "
        f"about {duration(total['clock_hours'] * 3600)}, using up to "
        f"{gibibytes(total['peak_memory_mb'])} of memory{gpu_memory(plan)}.",
        *warnings(plan),
        *processes_note(plan),
        NOT_COUNTED,
    ]
    if gpus:
        lines.append(ON_A_GPU)
    if gpus and plan["jobs_per_gpu"] > 1:
        jobs = plan["jobs_per_gpu"]
        lines.append(f"Each job was timed alone: up to {jobs} that share a GPU slow each other.")
    return "\n".join([*lines, ACCURACY])


def gibibytes(mebibytes: float) -> str:
    """MiB as GiB with one decimal."""
    return f"{mebibytes / 1024:.1f} GiB"


def gpu_memory(plan: Mapping[str, Any]) -> str:
    """Continuation of the totals about a GPU's memory; empty for a CPU."""
    peak, held = plan["total"]["peak_gpu_memory_mb"], plan["volumes_on_device_mb"]
    if peak is None:
        return ""
    volumes = f" (volumes: {gibibytes(held)} for each training)" if held else ""
    return f" and {gibibytes(peak)} of a GPU{volumes}"


def warnings(plan: Mapping[str, Any]) -> list[str]:
    """A line for each memory that will not do: the machine's, a GPU's, what `train` asks for."""
    total, lines = plan["total"], []
    machine, gpu = total["machine_memory_mb"], total["gpu_memory_mb"]
    if total["peak_memory_mb"] > machine:
        lines.append(
            f"This machine has {gibibytes(machine)}: run fewer jobs at a time (--cores), or limit "
            f"their memory (--resources mem_mb={machine:.0f})."
        )
    if gpu is not None and total["peak_gpu_memory_mb"] > gpu:
        lines.append(
            f"This GPU has {gibibytes(gpu)}: set jobs_per_gpu: 1, engine.volumes_on_device: false, "
            "or a smaller recipe.batch."
        )
    short = {
        name: stage["peak_memory_mb"]
        for name, stage in plan["stages"].items()
        if stage["peak_memory_mb"] > stage["requested_memory_mb"]
    }
    if short:
        lines.append(
            f"Warning: more memory than the rule train asks for: {', '.join(short)}; where memory "
            f"is limited run with --set-resources train:mem_mb={max(short.values()) * 1.1:.0f}."
        )
    return lines


def processes_note(plan: Mapping[str, Any]) -> list[str]:
    """Lines on what is assumed where each training is shared among processes."""
    processes = plan["processes"]
    if processes == 1:
        return []
    place = "each on a GPU of its own" if plan["gpus"] else "each on a core of its own"
    if not plan["gpus"] and plan["cores"] < processes:
        place = f"in turns on {plan['cores']} cores"
    lines = [
        f"Each training is shared among {processes} processes: one was timed alone with its part "
        f"of the batch, and the others are taken to need the same, {place}. Exchange of gradients "
        "is not counted."
    ]
    if plan["torchrun"]:
        lines.append("Further machines (engine.torchrun) are not counted.")
    return lines


def stage_rows(plan: Mapping[str, Any]) -> list[list[str]]:
    """Heads and rows of the stages' table."""
    rows = [["stage", "steps", "batch", "s/step", "one seed", "all seeds", "peak MiB", "GPU MiB"]]
    return rows + [
        [
            name,
            number(stage["steps"], 0),
            str(stage["batch"]),
            f"{stage['seconds_per_step']:.3g}",
            duration(stage["seconds"]),
            duration(stage["seconds"] * plan["seeds"]),
            *peaks(stage),
        ]
        for name, stage in plan["stages"].items()
    ]


def method_rows(plan: Mapping[str, Any]) -> list[list[str]]:
    """Heads and rows of the methods' table."""
    rows = [["method", "s/slice", "test set", "tuning", "peak MiB", "GPU MiB", "note"]]
    for name, method in plan["methods"].items():
        times = ["?", "?"]
        if method["seconds_per_slice"] is not None:
            times = [f"{method['seconds_per_slice']:.3g}", duration(method["seconds"])]
        tuning = duration(method["tuning_seconds"]) if method["tuning_seconds"] else ""
        rows.append([name, *times, tuning, *peaks(method), method["note"]])
    return rows


def peaks(planned: Mapping[str, Any]) -> list[str]:
    """Peaks of the machine's and a GPU's memory in MiB; empty cells for what is not known."""
    found = (planned.get("peak_memory_mb"), planned.get("peak_gpu_memory_mb"))
    return [number(peak, 0) if peak else "" for peak in found]


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines with columns of equal width: the first to the left, the others to the right."""
    used = [n for n in range(len(rows[0])) if n == 0 or any(row[n] for row in rows[1:])]
    widths = {n: max(len(row[n]) for row in rows) for n in used}
    return [
        "  ".join(row[n].ljust(widths[n]) if n == 0 else row[n].rjust(widths[n]) for n in used)
        for row in rows
    ]


def duration(seconds: float) -> str:
    """Seconds in the unit that a person would choose."""
    for unit, size in (("days", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"
