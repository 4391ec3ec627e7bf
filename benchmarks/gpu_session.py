"""All benchmarks that need a GPU, one after the other: what each printed goes to a file.

    PYTHONPATH=. python benchmarks/gpu_session.py --output gpu-session

Without any data; what matters most comes first. `--minutes 14` ends in time on a GPU that is lent
for a quarter of an hour. A step whose file is there is left out, so a session that was stopped goes
on; a step that fails is told, and tried again the next time. The folder's files are what to send.
`--tiny --device cpu` tries the commands out on any machine.
"""

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

from ldct.common.files import write_text

REPOSITORY = Path(__file__).parents[1]
ABOUT = (
    "import platform, torch; print(torch.__version__, torch.version.cuda, platform.platform()); "
    "print(*[torch.cuda.get_device_properties(n) for n in range(torch.cuda.device_count())])"
)


def main() -> None:
    """Run the steps that are not done yet; exits with 1 where one failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, required=True, help="folder of the session")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cuda")
    parser.add_argument("--tiny", action="store_true", help="sizes that tell nothing about speed")
    parser.add_argument("--minutes", type=float, help="a step that runs then is stopped")
    options = parser.parse_args()
    end = time.monotonic() + 60 * options.minutes if options.minutes else None
    output = options.output.resolve()
    steps = session_steps(options.device, options.tiny, output)
    failed = [
        name for name, command in steps.items() if not done(output / f"{name}.txt", command, end)
    ]
    for name in steps:
        file = output / f"{name}.txt"
        if file.is_file():
            print(f"\n{name}\n{file.read_text(encoding='utf-8').strip()}")
    if failed:
        sys.exit(f"failed, or out of time: {', '.join(failed)}")


def session_steps(device: str, tiny: bool, output: Path) -> dict[str, list[str]]:
    """Name to command of every step, the aims of the training step first."""
    step, inference, pairs, epoch = (
        [f"benchmarks/{name}.py", "--device", device]
        for name in ("training_step", "inference", "perceptual_and_adversary", "paper_epoch")
    )
    if tiny:
        step += ["--batch", "1", "2", "--steps", "2", "--rounds", "1"]
        inference += ["--slices", "1", "--rounds", "1"]
        pairs += ["--batch", "1", "--side", "64", "--rounds", "2"]
        epoch += ["--share", "0.001", "--tiles", "32"]
    else:
        step += ["--batch", "32", "256", "--steps", "400", "--rounds", "3"]
        inference += ["--slices", "200", "--rounds", "3"]
        pairs += ["--batch", "32", "--rounds", "8"]
    steps = {
        "about": ["-c", ABOUT],
        "step_bf16": [*step, "--precision", "bf16"],
        "step_fp32": step,
        "inference_fp32": inference,
        "inference_bf16": [*inference, "--precision", "bf16"],
        "pairs": pairs,
        "epoch_bf16": [*epoch, "--precision", "bf16", "--output", str(output / "epoch_bf16")],
        "epoch_fp32": [*epoch, "--output", str(output / "epoch_fp32")],
    }
    if device == "cuda":
        graphs = ["--precision", "bf16", "--cuda-graphs"]
        steps |= {
            "step_bf16_graphs": [*step, *graphs],
            "step_tf32": [*step, "--tf32"],
            "epoch_bf16_graphs": [*epoch, *graphs, "--output", str(output / "epoch_bf16_graphs")],
            "plan": ["-m", "ldct", "plan", "--config", "config/paper.yaml"],
        }
    return steps


def done(file: Path, command: list[str], end: float | None = None) -> bool:
    """Whether the file of a step is there, after running its command where it was not.

    end : of `time.monotonic()`, at which the command is stopped; None is never.
    """
    if file.is_file():
        return True
    left = None if end is None else end - time.monotonic()
    if left is not None and left <= 0:
        return False
    print(" ".join(command), file=sys.stderr)
    path = os.pathsep.join([str(REPOSITORY), os.environ.get("PYTHONPATH", "")])
    try:
        finished = subprocess.run(
            [sys.executable, *command],
            cwd=REPOSITORY,
            env={**os.environ, "PYTHONPATH": path.rstrip(os.pathsep)},
            stdout=subprocess.PIPE,
            text=True,
            timeout=left,
        )
    except subprocess.TimeoutExpired:
        return False
    if finished.returncode == 0:
        write_text(file, finished.stdout)
    return finished.returncode == 0


if __name__ == "__main__":
    main()
