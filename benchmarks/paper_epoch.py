"""One epoch of LSGAN at the size of the paper's data: made-up volumes, 281,660 tiles, batch 32.

    PYTHONPATH=. python benchmarks/paper_epoch.py --device cuda --precision bf16 --output epoch-bf16

Needs 6 GB of memory, and 5.3 GB of a GPU's where volumes are held there. `--share 0.01` makes the
volumes a hundredth, and with them the epoch; `--tiles` the epoch alone. Goes on from its last
checkpoint where it was stopped; a finished one is not trained again.
"""

import argparse
from pathlib import Path

import torch
from measuring import (
    SIDE,
    add_device_options,
    add_engine_options,
    engine_of,
    made_up_tiles,
    made_up_volumes,
)

from ldct.common.files import read_json, read_yaml
from ldct.common.scaling import Scaling
from ldct.configuration.registry import find_methods
from ldct.configuration.stages import resolve_models
from ldct.cost.probes import options_on
from ldct.devices.choice import device_record, hold_device, limit_threads
from ldct.devices.engine import resolve_engine
from ldct.plan.counts import KEPT_SHARE
from ldct.training.loop import is_trained, train_stage

REPOSITORY = Path(__file__).parents[1]
SIZE, EPOCHS = 64, 20


def main() -> None:
    """Train one epoch, and print what it took and what the paper's twenty would take."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--share", type=float, default=1.0, help="of the paper's slices")
    parser.add_argument("--tiles", type=int, help="of the epoch; else all")
    parser.add_argument("--output", type=Path, required=True, help="folder of the training")
    add_device_options(parser)
    add_engine_options(parser)
    options = parser.parse_args()
    limit_threads(1)
    patients = read_yaml(REPOSITORY / "config/datasets/aapm.yaml")["patients"].values()
    slices = [patient["slices"] for patient in patients if patient["split"] == "train"]
    volumes = made_up_volumes([max(1, round(options.share * count)) for count in slices])
    tiles = made_up_tiles(volumes, SIZE, KEPT_SHARE)[: options.tiles]
    models, _ = resolve_models(["lsgan"], find_methods([REPOSITORY / "methods"]), "paper", SIZE)
    stage = models["lsgan"]
    stage["recipe"] = {**stage["recipe"], "epochs": 1}
    with hold_device(options.device, torch.cuda.device_count()) as device:
        engine = resolve_engine(engine_of(options), device)
        how = ", ".join([options.precision, *options_on(engine)])
        fingerprint = f"{device.type}, {how}, {len(tiles)} tiles"
        if not is_trained(options.output, fingerprint):
            train_stage(
                stage,
                volumes,
                tiles,
                Scaling(-160.0, 240.0, clip=True),
                [],
                seed=0,
                device=device,
                precision=options.precision,
                checkpoint_every=500,
                fingerprint=fingerprint,
                folder=options.output,
                engine=engine,
            )
        peak = device_record(device).get("peak_gpu_memory_mb")
    record = read_json(options.output / "training.json")
    seconds, steps = record["seconds"], record["steps"]
    print(
        f"LSGAN, {how}: one epoch over {len(tiles):,} tiles of {SIDE} x {SIDE} slices, {steps:,} "
        f"steps of batch {stage['recipe']['batch']}: {seconds:.1f} s on the clock, "
        f"{1000 * seconds / steps:.2f} ms a step; {EPOCHS} epochs: {EPOCHS * seconds / 3600:.2f} h"
        + (f"; peak {peak:,.0f} MiB of the GPU" if peak else "")
    )
    print(
        f"volumes on the device: {record['engine']['volumes_on_device']}; "
        f"restarts: {record['restarts']}; {', '.join(record['devices'])}"
    )


if __name__ == "__main__":
    main()
