"""What a perceptual loss, an adversary and a second level cost: ratios with intervals.

    PYTHONPATH=. python benchmarks/perceptual_and_adversary.py --batch 32 --rounds 8

The pairs of config/micro_benchmark.yaml, as the rule `micro_benchmark` measures them, at any batch.
No data are needed: pixels and weights are random.
"""

import argparse
from pathlib import Path

import torch

from ldct.common.files import read_yaml
from ldct.configuration.registry import find_methods
from ldct.configuration.stages import resolve_models
from ldct.cost.micro_benchmark import Setup, measure_pairs
from ldct.devices.choice import hold_device, limit_threads
from ldct.devices.engine import Engine, resolve_engine

REPOSITORY = Path(__file__).parents[1]


def main() -> None:
    """Run the benchmark and print one line per pair."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--side", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=8)
    parser.add_argument("--tile-size", type=int, default=64)
    parser.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto")
    options = parser.parse_args()
    limit_threads(1)
    plan = read_yaml(REPOSITORY / "config/micro_benchmark.yaml")
    folders = find_methods([REPOSITORY / "methods"])
    models, _ = resolve_models(plan["methods"], folders, "paper", options.tile_size)
    with hold_device(options.device, torch.cuda.device_count()) as device:
        setup = Setup(options.batch, options.side, device, resolve_engine(Engine(), device))
        pairs = measure_pairs(plan, models, setup, options.rounds)
    for name, pair in pairs.items():
        print(
            f"{name}: time {pair['time_ratio']:.2f} ({pair['lower']:.2f} to {pair['upper']:.2f}), "
            f"memory {pair['memory_ratio']:.2f}, added memory {pair['added_memory_ratio']:.2f}; "
            f"{pair['seconds_a']:.3f} s and {pair['seconds_b']:.3f} s"
        )
    print(pair["conditions"])


if __name__ == "__main__":
    main()
