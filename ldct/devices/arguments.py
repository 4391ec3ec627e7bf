"""Options of verbs that run networks."""

import argparse

from ldct.common.arguments import natural_number, positive_integer
from ldct.devices.torch_build import DEVICES


def add_device(parser: argparse.ArgumentParser) -> None:
    """Add the options that say where networks run."""
    parser.add_argument("--device", choices=DEVICES, default="auto")
    parser.add_argument(
        "--gpus", type=natural_number, default=1, help="GPUs granted; 0 forces the CPU"
    )
    parser.add_argument(
        "--jobs-per-gpu", type=positive_integer, default=1, help="jobs that may share a GPU"
    )
    parser.add_argument("--threads", type=positive_integer, default=1)
