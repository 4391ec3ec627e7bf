"""A plan beside what a finished run of the same configuration took."""

import statistics
from collections.abc import Mapping
from typing import Any


def compare_plan(plan: Mapping[str, Any], cost: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """Foretold over measured of training time and memory and inference time, for what both know.

    Each is a mapping of stage or method to ratio, with "median" beside.
    cost : of `ldct.evaluation.cost.collect_cost` of a finished run of the same configuration.
    """

    def memory_of(key: str) -> list[tuple[str, float | None, float | None]]:
        return [
            (name, stage.get(key), cost["stages"].get(name, {}).get(key))
            for name, stage in plan["stages"].items()
        ]

    pairs = {
        "training_time": [
            (name, *training_seconds(stage, cost["stages"].get(name, {})))
            for name, stage in plan["stages"].items()
        ],
        "training_memory": memory_of("peak_memory_mb"),
        "training_gpu_memory": memory_of("peak_gpu_memory_mb"),
        "inference_time": [
            (
                name,
                method["seconds_per_slice"],
                cost["methods"].get(name, {}).get("inference_seconds_per_slice"),
            )
            for name, method in plan["methods"].items()
        ],
    }
    ratios = {
        what: {name: foretold / found for name, foretold, found in rows if foretold and found}
        for what, rows in pairs.items()
    }
    return {
        what: {**rows, "median": statistics.median(rows.values())}
        for what, rows in ratios.items()
        if rows
    }


def training_seconds(
    planned: Mapping[str, Any], measured: Mapping[str, Any]
) -> tuple[float, float | None]:
    """Foretold and measured seconds of a training that can be compared.

    Processor time of all its processes on a CPU; time on the clock on a GPU, or without a record.
    """
    on_cpu = str(measured.get("device", "cpu")).startswith("cpu")
    processor = measured.get("training_cpu_seconds") if on_cpu else None
    if processor:
        return planned["seconds"] * planned["cores"], processor
    return planned["seconds"], measured.get("training_seconds")
