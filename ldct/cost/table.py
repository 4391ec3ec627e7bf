"""The page of a run's cost: methods, stages, and the paired micro-benchmark."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import pandas as pd

from ldct.cost.collect import ELSEWHERE
from ldct.rendering.numbers import MISSING, bounds, number
from ldct.rendering.page import PlainTable

NOTES = (
    "Training: the steps alone, mean over seeds and folds, all parts of a stopped training without "
    "the steps lost between its last checkpoint and the stop. Jobs share the machine, which "
    "lengthens both times. A method's row is the sum over its stages; a stage of several methods "
    "was trained once.",
    "Peak memory: of the job, PyTorch included; it varies by some percent from run to run. GPU "
    "peak: of PyTorch's allocator alone.",
    "Inference: processor time of one core on a CPU, wall time on a GPU; of programs that are no "
    "networks with the start of Python (a few seconds in all).",
    "Critic AUC: at the end, of NDCT against generated tiles that the critic never trained on; 0.5 "
    "is chance. Shares: of each weighted term in the sum of their sizes, which are no gradients.",
)

NOT_TRAINED = (
    "The models were taken from a set of trained ones: what their trainings and tunings took on "
    "another machine is not known here."
)


def notes_of(stages: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Notes below the tables."""
    elsewhere = any(stage["device"] == ELSEWHERE for stage in stages.values())
    return [*NOTES, NOT_TRAINED] if elsewhere else [*NOTES]


def significant(value: float) -> str:
    """Three significant figures, without an exponent."""
    return number(value, 0) if abs(value) >= 100 else f"{value:.3g}"


whole = partial(number, digits=0)


def billions(value: float) -> str:
    """Billions, three significant figures."""
    return significant(value / 1e9)


def shares(found: Mapping[str, Mapping[str, float]]) -> str:
    """Each term's share of the loss in percent, from start to end."""
    start = found["start"]
    return ", ".join(
        f"{term} {significant(100 * start[term])} → {significant(100 * end)}"
        for term, end in found["end"].items()
    )


# Key in cost.json: head, and how a value is printed. A column without values is left out.
Columns = Mapping[str, tuple[str, Callable[[Any], str]]]
METHOD_COLUMNS: Columns = {
    "parameters": ("Parameters", whole),
    "multiply_adds_per_slice": ("Multiply-adds per slice, 10⁹", billions),
    "tuning_cpu_seconds": ("Tuning, CPU time (s)", significant),
    "training_cpu_seconds": ("Training, CPU time (s)", whole),
    "training_seconds": ("Training, wall time (s)", whole),
    "training_peak_memory_mb": ("Training peak (MiB)", whole),
    "training_peak_gpu_memory_mb": ("Training GPU peak (MiB)", whole),
    "inference_seconds_per_slice": ("Inference per slice (s)", significant),
    "inference_peak_memory_mb": ("Inference peak (MiB)", whole),
    "inference_peak_gpu_memory_mb": ("Inference GPU peak (MiB)", whole),
}
STAGE_COLUMNS: Columns = {
    "parameters": ("Parameters", whole),
    "critic_parameters": ("Critic’s parameters", lambda count: whole(count) if count else MISSING),
    "multiply_adds_per_slice": ("Multiply-adds per slice, 10⁹", billions),
    "steps": ("Steps", whole),
    "batch": ("Batch", whole),
    "training_cpu_seconds": ("CPU time (s)", whole),
    "training_seconds": ("Wall time (s)", whole),
    "peak_memory_mb": ("Peak (MiB)", whole),
    "peak_gpu_memory_mb": ("GPU peak (MiB)", whole),
    "critic_auc": ("Critic AUC", lambda auc: number(auc, 2)),
    "loss_shares": ("Shares of the loss, start → end (%)", shares),
    "device": ("Device", str),
    "restarts": ("Resumed", str),
    "used_by": ("Part of", ", ".join),
}
PAIRS = "Pairs that differ in one thing, timed in turns: ratio [95 % interval]"
PAIR_HEADS = ("A / B", "Time", "Memory", "Added memory", "Conditions")


def cost_tables(cost: Mapping[str, Any]) -> list[PlainTable]:
    """Tables of the methods, the stages and the pairs of a cost.json."""
    methods = {method["title"]: method for method in cost["methods"].values()}
    pairs = [
        [
            f"{pair['variant_a']} / {pair['variant_b']}",
            f"{pair['time_ratio']:.2f} {bounds(pair['lower'], pair['upper'], 2)}",
            number(pair["memory_ratio"], 2),
            number(pair["added_memory_ratio"], 2),
            pair["conditions"],
        ]
        for pair in cost["micro"].values()
    ]
    return [
        _table("Methods", "Method", METHOD_COLUMNS, methods),
        _table("Stages, each trained once", "Stage", STAGE_COLUMNS, cost["stages"]),
        *([PlainTable(PAIRS, PAIR_HEADS, pairs, words=[4])] if pairs else []),
    ]


def all_jobs_note(spent: Mapping[str, Any]) -> str:
    """What all jobs took, beside one training of DRL where there is one."""
    times = "" if spent["times_drl"] is None else f", {spent['times_drl']:.1f} times DRL's training"
    return (
        f"All {spent['jobs']} jobs before this table: {whole(spent['cpu_seconds'])} CPU s{times}."
    )


def _table(
    title: str, first: str, columns: Columns, rows: Mapping[str, Mapping[str, Any]]
) -> PlainTable:
    used = {
        key: column
        for key, column in columns.items()
        if any(row.get(key) is not None for row in rows.values())
    }
    cells = [
        [name, *(MISSING if row.get(k) is None else show(row[k]) for k, (_, show) in used.items())]
        for name, row in rows.items()
    ]
    words = [n for n, key in enumerate(used, 1) if key in ("loss_shares", "device", "used_by")]
    return PlainTable(title, [first, *(head for head, _ in used.values())], cells, words)


def cost_frame(cost: Mapping[str, Any]) -> pd.DataFrame:
    """One row per method and per stage, with all values of cost.json; lists are joined."""
    rows = [
        {"what": what, "name": name, **{key: _plain(value) for key, value in row.items()}}
        for what, rows in (("method", cost["methods"]), ("stage", cost["stages"]))
        for name, row in rows.items()
    ]
    return pd.DataFrame(rows, dtype=object)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return shares(value)
    return " ".join(value) if isinstance(value, Sequence) and not isinstance(value, str) else value
