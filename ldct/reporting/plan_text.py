"""A plan as text for a terminal."""

from collections.abc import Mapping, Sequence
from typing import Any

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


def plan_text(plan: Mapping[str, Any], comparison: Mapping[str, Any] | None = None) -> str:
    """The plan as a table of stages, a table of methods, and totals."""
    total = plan["total"]
    lines = [
        f"Plan of run {plan['run']}: {plan['dataset']}; {plan['budget']}; seeds: {plan['seeds']}",
        f"{plan['tiles']:,} training tiles ({plan['tiles_from']}); {plan['test_slices']:,} test "
        f"slices; device {plan['device']}; {resources(plan)}",
        f"Training in {', '.join([plan['precision'], *plan['engine']])}; inference in "
        f"{plan['inference_precision']}",
        "",
        *aligned(stage_rows(plan, comparison)),
        "",
        *aligned(method_rows(plan, comparison)),
        "",
        f"All jobs one after the other {duration(total['job_hours'] * 3600)}; with "
        f"{resources(plan)} about {duration(total['clock_hours'] * 3600)}, using up to "
        f"{total['peak_memory_mb'] / 1024:.1f} GiB of memory{gpu_memory(plan)}.",
        *memory_warning(total),
        *gpu_memory_warning(total),
        *request_warning(plan),
        *processes_note(plan),
        NOT_COUNTED,
        *gpu_notes(plan),
        ACCURACY,
    ]
    if comparison:
        medians = [
            f"{what.replace('_', ' ')} {rows['median']:.2f}" for what, rows in comparison.items()
        ]
        lines.append(f"Foretold over measured, median: {'; '.join(medians)}.")
    return "\n".join(lines)


def resources(plan: Mapping[str, Any]) -> str:
    """Cores, and GPUs where jobs use them."""
    gpus = plan["gpus"]
    if not gpus:
        return f"{plan['cores']} cores"
    return f"{plan['cores']} cores and {gpus} {'GPU' if gpus == 1 else 'GPUs'}"


def gpu_memory(plan: Mapping[str, Any]) -> str:
    """Continuation of the totals about a GPU's memory; empty for a CPU."""
    peak = plan["total"]["peak_gpu_memory_mb"]
    if peak is None:
        return ""
    held = plan["volumes_on_device_mb"]
    volumes = f" (volumes: {held / 1024:.1f} GiB for each training)" if held else ""
    return f" and {peak / 1024:.1f} GiB of a GPU{volumes}"


def memory_warning(total: Mapping[str, Any]) -> list[str]:
    """A line where jobs side by side need more memory than the machine has."""
    if total["peak_memory_mb"] <= total["machine_memory_mb"]:
        return []
    return [
        f"This machine has {total['machine_memory_mb'] / 1024:.1f} GiB: run fewer jobs at a time "
        f"(--cores), or limit their memory (--resources mem_mb={total['machine_memory_mb']:.0f})."
    ]


def gpu_memory_warning(total: Mapping[str, Any]) -> list[str]:
    """A line where the jobs on a GPU need more memory than it has."""
    if total["gpu_memory_mb"] is None or total["peak_gpu_memory_mb"] <= total["gpu_memory_mb"]:
        return []
    return [
        f"This GPU has {total['gpu_memory_mb'] / 1024:.1f} GiB: set jobs_per_gpu: 1, "
        "engine.volumes_on_device: false, or a smaller recipe.batch."
    ]


def request_warning(plan: Mapping[str, Any]) -> list[str]:
    """A line where stages need more memory of the machine than the rule `train` asks for."""
    short = {
        name: stage["peak_memory_mb"]
        for name, stage in plan["stages"].items()
        if stage["peak_memory_mb"] > stage["requested_memory_mb"]
    }
    if not short:
        return []
    return [
        f"Warning: more memory than the rule train asks for: {', '.join(short)}; where memory is "
        f"limited run with --set-resources train:mem_mb={max(short.values()) * 1.1:.0f}."
    ]


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


def gpu_notes(plan: Mapping[str, Any]) -> list[str]:
    """What is assumed on a GPU; nothing for a CPU."""
    if not plan["gpus"]:
        return []
    jobs = plan["jobs_per_gpu"]
    alone = f"Each job was timed alone: up to {jobs} that share a GPU slow each other."
    return [ON_A_GPU, *([alone] if jobs > 1 else [])]


def stage_rows(plan: Mapping[str, Any], comparison: Mapping[str, Any] | None) -> list[list[str]]:
    """Heads and rows of the stages' table."""
    rows = [["stage", "steps", "batch", "s/step", "one seed", "all seeds", "peak MiB", "GPU MiB"]]
    for name, stage in plan["stages"].items():
        rows.append(
            [
                name,
                f"{stage['steps']:,}",
                str(stage["batch"]),
                f"{stage['seconds_per_step']:.3g}",
                duration(stage["seconds"]),
                duration(stage["seconds"] * plan["seeds"]),
                *mebibytes(stage),
            ]
        )
    return with_ratios(
        rows, comparison, ("training_time", "training_memory", "training_gpu_memory")
    )


def method_rows(plan: Mapping[str, Any], comparison: Mapping[str, Any] | None) -> list[list[str]]:
    """Heads and rows of the methods' table."""
    rows = [["method", "s/slice", "test set", "tuning", "peak MiB", "GPU MiB", "note"]]
    for name, method in plan["methods"].items():
        known = method["seconds_per_slice"] is not None
        rows.append(
            [
                name,
                f"{method['seconds_per_slice']:.3g}" if known else "?",
                duration(method["seconds"]) if known else "?",
                duration(method["tuning_seconds"]) if method["tuning_seconds"] else "",
                *mebibytes(method),
                method["note"],
            ]
        )
    return with_ratios(rows, comparison, ("inference_time",))


def mebibytes(planned: Mapping[str, Any]) -> list[str]:
    """Peaks of the machine's and a GPU's memory; empty cells for what is not known."""
    peaks = (planned.get("peak_memory_mb"), planned.get("peak_gpu_memory_mb"))
    return [f"{peak:,.0f}" if peak else "" for peak in peaks]


def with_ratios(
    rows: list[list[str]], comparison: Mapping[str, Any] | None, kinds: Sequence[str]
) -> list[list[str]]:
    """The rows with a column of foretold over measured for each kind."""
    for kind in kinds if comparison else ():
        found = comparison.get(kind, {})
        rows[0].append(f"{kind.partition('_')[2].replace('_', ' ')} ratio")
        for row in rows[1:]:
            row.append(f"{found[row[0]]:.2f}" if row[0] in found else "")
    return rows


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
