"""A plan as text for a terminal."""

from collections.abc import Mapping, Sequence
from typing import Any

NOT_COUNTED = (
    "Not counted: reading DICOM, dose simulation, metrics and figures (minutes), validation during "
    "training, and slices added for lesions."
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
        f"slices; device {plan['device']}; {plan['cores']} cores",
        f"Training in {', '.join([plan['precision'], *plan['engine']])}; inference in "
        f"{plan['inference_precision']}",
        "",
        *aligned(stage_rows(plan, comparison)),
        "",
        *aligned(method_rows(plan, comparison)),
        "",
        f"All jobs one after the other {duration(total['job_hours'] * 3600)}; with "
        f"{plan['cores']} cores about {duration(total['clock_hours'] * 3600)}, using up to "
        f"{total['peak_memory_mb'] / 1024:.1f} GiB of memory.",
        *memory_warning(total),
        *request_warning(plan),
        *processes_note(plan),
        NOT_COUNTED,
        ACCURACY,
    ]
    if comparison:
        medians = [
            f"{what.replace('_', ' ')} {rows['median']:.2f}" for what, rows in comparison.items()
        ]
        lines.append(f"Foretold over measured, median: {'; '.join(medians)}.")
    return "\n".join(lines)


def memory_warning(total: Mapping[str, float]) -> list[str]:
    """A line where jobs side by side need more memory than the machine has."""
    if total["peak_memory_mb"] <= total["machine_memory_mb"]:
        return []
    return [
        f"This machine has {total['machine_memory_mb'] / 1024:.1f} GiB: run fewer jobs at a time "
        f"(--cores), or limit their memory (--resources mem_mb={total['machine_memory_mb']:.0f})."
    ]


def request_warning(plan: Mapping[str, Any]) -> list[str]:
    """A line where stages need more memory than the rule `train` asks for them.

    On a GPU the peak is the GPU's, and the rule asks for that of the machine.
    """
    if plan["device"] != "cpu":
        return []
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
    """A line where each training is shared among processes, which no timing shows."""
    if plan["processes"] == 1:
        return []
    return [
        f"Trainings are timed as one process each; the run shares each among {plan['processes']}."
    ]


def stage_rows(plan: Mapping[str, Any], comparison: Mapping[str, Any] | None) -> list[list[str]]:
    """Heads and rows of the stages' table."""
    rows = [["stage", "steps", "batch", "s/step", "one seed", "all seeds", "peak MiB"]]
    for name, stage in plan["stages"].items():
        rows.append(
            [
                name,
                f"{stage['steps']:,}",
                str(stage["batch"]),
                f"{stage['seconds_per_step']:.3g}",
                duration(stage["seconds"]),
                duration(stage["seconds"] * plan["seeds"]),
                f"{stage['peak_memory_mb']:,.0f}",
            ]
        )
    return with_ratios(rows, comparison, ("training_time", "training_memory"))


def method_rows(plan: Mapping[str, Any], comparison: Mapping[str, Any] | None) -> list[list[str]]:
    """Heads and rows of the methods' table."""
    rows = [["method", "s/slice", "test set", "tuning", "peak MiB", "note"]]
    for name, method in plan["methods"].items():
        known = method["seconds_per_slice"] is not None
        peak = method.get("peak_memory_mb")
        rows.append(
            [
                name,
                f"{method['seconds_per_slice']:.3g}" if known else "?",
                duration(method["seconds"]) if known else "?",
                duration(method["tuning_seconds"]) if method["tuning_seconds"] else "",
                f"{peak:,.0f}" if peak else "",
                method["note"],
            ]
        )
    return with_ratios(rows, comparison, ("inference_time",))


def with_ratios(
    rows: list[list[str]], comparison: Mapping[str, Any] | None, kinds: Sequence[str]
) -> list[list[str]]:
    """The rows with a column of foretold over measured for each kind."""
    for kind in kinds if comparison else ():
        found = comparison.get(kind, {})
        rows[0].append(f"{kind.split('_')[1]} ratio")
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
