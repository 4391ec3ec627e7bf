"""Time of each level inside a prediction: what is recorded, and that the pixels stay the same."""

import time

import numpy as np
import pytest
import torch
from torch import nn
from training_inputs import write_volume

from ldct.common.files import read_json
from ldct.common.scaling import Scaling
from ldct.denoising.level_times import WAITING, level_times
from ldct.denoising.network import InferencePlan, denoise_slices, denoise_with_networks
from ldct.networks.chain import Level

CPU = torch.device("cpu")
WINDOW = Scaling(-160.0, 240.0, clip=True)


class Slow(nn.Module):
    """Works for a given time on the processor, and waits for another."""

    def __init__(self, work: float, rest: float = 0.0) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(1, 1, 3, padding=1)
        self.work, self.rest = work, rest

    def forward(self, image):
        end = time.process_time() + self.work
        while time.process_time() < end:
            pass
        time.sleep(self.rest)
        return self.convolution(image)


def chain(*networks) -> list[Level]:
    return [Level(network.eval().requires_grad_(False), "residual") for network in networks]


def test_prediction_records_the_time_of_each_level(tmp_path):
    folder, output = write_volume(tmp_path / "L001", 0, (3, 32, 32)), tmp_path / "out.npy"
    levels = chain(Slow(0.01), Slow(0.04, rest=0.03))
    denoise_with_networks(folder, levels, [], WINDOW, CPU, output)
    found = read_json(tmp_path / "out.npy.provenance.json")["settings"]["inference"]
    assert found["level_cpu_seconds"][0] >= 0.03
    assert found["level_cpu_seconds"][1] >= 0.12
    assert found["level_seconds"][1] >= 3 * (0.04 + 0.03)
    assert sum(found["level_cpu_seconds"]) <= found["cpu_seconds"] + 0.002
    assert sum(found["level_seconds"]) <= found["seconds"] + 0.002


@pytest.mark.parametrize("plan", [InferencePlan(), InferencePlan(tile=32, margin=32)])
def test_timed_predictions_have_the_same_bits_and_networks_are_left_as_they_were(plan):
    levels = chain(nn.Conv2d(1, 1, 3, padding=1), nn.Conv2d(1, 1, 5, padding=2))
    slices = np.random.default_rng(0).integers(-200, 300, (2, 96, 80)).astype(np.int16)
    plain = denoise_slices(slices, levels, WINDOW, CPU, plan)
    with level_times(levels, CPU) as times:
        timed = denoise_slices(slices, levels, WINDOW, CPU, plan)
    assert timed.tobytes() == plain.tobytes()
    assert min(times.seconds) > 0
    before = list(times.seconds)
    denoise_slices(slices, levels, WINDOW, CPU, plan)
    assert times.seconds == before
    for level in levels:
        assert not level.network._forward_hooks
        assert not level.network._forward_pre_hooks


class Event:
    """An event of a GPU whose clock takes 1 ms from one event of `queue` to the next.

    `behind` : how many events were in the queue after each one that somebody waited for.
    """

    def __init__(self, queue, behind):
        self.queue, self.behind = queue, behind

    def record(self):
        self.place = len(self.queue)
        self.queue.append(self)

    def synchronize(self):
        self.behind.append(len(self.queue) - 1 - self.place)

    def elapsed_time(self, other):
        return float(other.place - self.place)


def test_gpu_is_not_waited_for_before_it_is_long_done(monkeypatch):
    """On a GPU: its own clock, and no time of the processor, which only hands out work."""
    queue, behind = [], []
    monkeypatch.setattr(torch.cuda, "Event", lambda enable_timing: Event(queue, behind))
    levels = chain(nn.Identity(), nn.Identity())
    with level_times(levels, torch.device("cuda")) as times:
        for _ in range(WAITING):
            for level in levels:
                level.network(torch.zeros(1))
        # Two events for each call.
        assert behind == [2 * WAITING] * WAITING
    assert times.record() == {"level_seconds": [WAITING / 1000, WAITING / 1000]}
