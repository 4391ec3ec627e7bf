"""A plan as text for a terminal."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from ldct.plan.progress import duration
from ldct.rendering.numbers import number

NOT_COUNTED = (
    "Not counted: reading DICOM, dose simulation, metrics and figures (minutes), validation during "
    "training, and slices added for lesions."
)
NO_SLICES = (
    "Too little: the data set's file does not say how many slices {} have, and they count as none. "
    "Add `slices: NUMBER` to each (the inventory has the numbers)."
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
    memory = f"{gibibytes(total['peak_memory_mb'])} of memory"
    if total["peak_gpu_memory_mb"] is not None:
        memory += f" and {gibibytes(total['peak_gpu_memory_mb'])} of a GPU"
        if plan["volumes_on_device_mb"]:
            memory += f" (volumes: {gibibytes(plan['volumes_on_device_mb'])} for each training)"
    uncounted = ", ".join(plan["without_slices"])
    trainings = plan["seeds"] * plan["folds"]
    lines = [
        f"Plan of run {plan['run']}: {plan['dataset']}; {plan['budget']}; seeds: {plan['seeds']}",
        f"{plan['tiles']:,} training tiles ({plan['tiles_from']}); {plan['test_slices']:,} test "
        f"slices; device {plan['device']}; {resources}",
        f"{trained_in(plan)}; inference in {plan['inference_precision']}",
        "",
        *text_table("stage", {k: stage_row(v, trainings) for k, v in plan["stages"].items()}),
        *text_table("method", {k: method_row(v) for k, v in plan["methods"].items()}),
        f"All jobs one after the other {duration(total['job_hours'] * 3600)}; with {resources} "
        f"about {duration(total['clock_hours'] * 3600)}, using up to {memory}.",
        *([NO_SLICES.format(uncounted)] if uncounted else []),
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


def trained_in(plan: Mapping[str, Any]) -> str:
    """Precision and options of the trainings, where there are any."""
    if not plan["stages"]:
        return "No training"
    return f"Training in {', '.join([plan['precision'], *plan['engine']])}"


def gibibytes(mebibytes: float) -> str:
    """MiB as GiB with one decimal."""
    return f"{mebibytes / 1024:.1f} GiB"


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


def stage_row(stage: Mapping[str, Any], trainings: int) -> dict[str, str]:
    """Cells of a stage by head."""
    return {
        "steps": number(stage["steps"], 0),
        "batch": str(stage["batch"]),
        "s/step": f"{stage['seconds_per_step']:.3g}",
        "one seed": duration(stage["seconds"]),
        "all trainings": duration(stage["seconds"] * trainings),
        **peaks(stage),
    }


def method_row(method: Mapping[str, Any]) -> dict[str, str]:
    """Cells of a method by head."""
    known = method["seconds_per_slice"] is not None
    return {
        "s/slice": f"{method['seconds_per_slice']:.3g}" if known else "?",
        "test set": duration(method["seconds"]) if known else "?",
        "tuning": duration(method["tuning_seconds"]) if method["tuning_seconds"] else "",
        **peaks(method),
        "note": method["note"],
    }


def peaks(planned: Mapping[str, Any]) -> dict[str, str]:
    """Peaks of the machine's and a GPU's memory; empty cells for what is not known."""
    keys = {"peak MiB": "peak_memory_mb", "GPU MiB": "peak_gpu_memory_mb"}
    return {head: number(planned[k], 0) if planned.get(k) else "" for head, k in keys.items()}


def text_table(what: str, rows: Mapping[str, Mapping[str, str]]) -> list[str]:
    """Lines of a table and an empty one; columns without content are left out."""
    if not rows:
        return []
    table = pd.DataFrame.from_dict(rows, orient="index").rename_axis(columns=what)
    return [table.loc[:, table.ne("").any()].to_string(), ""]
