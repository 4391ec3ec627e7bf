"""Slices in tiles: near the whole slice, at any size; what cannot be tiled is refused."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sample_networks import PoolAndGrow
from torch import nn
from training_inputs import METHODS

from ldct.common.errors import InputError
from ldct.common.scaling import Scaling
from ldct.configuration.registry import find_methods
from ldct.configuration.stages import resolve_models
from ldct.denoising.network import (
    InferencePlan,
    denoise_slices,
    new_prediction,
    plan_inference,
    tiled_levels,
)
from ldct.denoising.tiling import ALIGNMENT, margin_of, spans
from ldct.networks.chain import Level, apply_levels
from ldct.networks.cost import feature_bytes
from ldct.networks.files import build_network

CPU = torch.device("cpu")
WINDOW = Scaling(-160.0, 240.0, clip=True)
CLOSE = 1e-5  # network units (of values near 1): 0.004 HU in a window of 400 HU


def shaken(network: nn.Module, seed: int) -> nn.Module:
    """The network with weights and moving statistics that do not cancel out."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in network.parameters():
            weight.add_(0.03 * torch.randn(weight.shape, generator=generator))
        for name, value in network.named_buffers():
            if name.endswith("running_var"):
                value.copy_(0.5 + torch.rand(value.shape, generator=generator))
    network = network.to(memory_format=torch.channels_last)
    return network.eval().requires_grad_(False)


def levels_of(method: str) -> list[Level]:
    models, chains = resolve_models([method], find_methods([METHODS]), "quick", 64)
    return [
        Level(
            shaken(build_network(models[name]["network"], 0, name), seed),
            models[name]["target"],
            tuple(models[name]["inputs"]),
        )
        for seed, name in enumerate(chains[method])
    ]


@pytest.mark.parametrize(
    ("method", "shape"),
    [
        ("proposed", (170, 64)),
        ("unet", (151, 135)),
        ("wu_cascade", (145, 64)),
    ],
)
def test_tiles_are_near_the_whole_slice(method, shape):
    """Not the same bits: other shapes may run other kernels, which round differently."""
    levels = levels_of(method)
    image = torch.rand(1, 1, *shape, generator=torch.Generator().manual_seed(0))
    plan = InferencePlan(tile=32, margin=margin_of(levels, CPU))
    assert max(shape) > plan.tile + 2 * plan.margin
    with torch.inference_mode():
        whole = tiled_levels(levels, InferencePlan())(image)
        tiled = tiled_levels(levels, plan)(image)
    torch.testing.assert_close(tiled, whole, rtol=CLOSE, atol=CLOSE)
    assert whole.std() > 0.01


def test_too_small_a_margin_would_be_seen():
    """The comparison above can fail: without a margin there are seams."""
    levels = levels_of("proposed")
    image = torch.rand(1, 1, 64, 96, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        whole = tiled_levels(levels, InferencePlan())(image)
        seams = tiled_levels(levels, InferencePlan(tile=32, margin=0))(image)
    assert (seams - whole).abs().max() > 1e-3


@given(
    size=st.integers(1, 700),
    tile=st.integers(1, 8).map(lambda n: n * ALIGNMENT),
    margin=st.integers(0, 4).map(lambda n: n * ALIGNMENT),
)
def test_tiles_cover_every_pixel_once_with_its_margin(size, tile, margin):
    found = list(spans(size, tile, margin))
    pixels = np.arange(size)
    assert np.array_equal(np.concatenate([pixels[span.kept] for span in found]), pixels)
    for span in found:
        cut, kept = span.cut, span.kept
        assert np.array_equal(pixels[cut][span.inner], pixels[kept])
        assert cut.start % ALIGNMENT == 0
        assert cut.stop % ALIGNMENT == 0 or cut.stop == size
        assert cut.start <= max(kept.start - margin, 0)
        assert cut.stop >= min(kept.stop + margin, size)
        assert cut.stop - cut.start >= min(tile + 2 * margin, size)


def test_margin_holds_for_pooling_wherever_the_pixel_lies():
    level = Level(shaken(PoolAndGrow(), 0), "image")
    image = torch.rand(1, 1, 352, 256)
    margin = margin_of([level], CPU)
    with torch.inference_mode():
        whole = apply_levels([level], image)
        tiled = tiled_levels([level], InferencePlan(tile=128, margin=margin))(image)
        without = tiled_levels([level], InferencePlan(tile=128))(image)
    torch.testing.assert_close(tiled, whole, rtol=CLOSE, atol=CLOSE)
    assert not torch.allclose(whole, without, atol=1e-3)


def test_network_that_sees_everything_is_not_tiled():
    class Centred(nn.Module):
        def forward(self, image):
            return image - image.mean(dim=(2, 3), keepdim=True)

    with pytest.raises(InputError, match=r"more than 256 pixels away.*mem_mb"):
        margin_of([Level(Centred(), "image")], CPU)


def test_whole_slices_where_they_fit_and_tiles_where_not():
    levels = levels_of("drl")
    whole = plan_inference(levels, (512, 512), CPU, memory_mb=4000)
    assert whole == InferencePlan(batch=1, tile=0)
    tiled = plan_inference(levels, (512, 512), CPU, memory_mb=1200)
    assert tiled.tile in (128, 256)
    assert tiled.margin == 32
    assert plan_inference(levels, (512, 512), CPU, tile=64).tile == 64
    with pytest.raises(InputError, match="give the job more memory"):
        plan_inference(levels, (512, 512), CPU, memory_mb=501)


def test_estimate_counts_the_feature_maps_that_live_together():
    """Two convolutions: input and first map, then first and second, 4 bytes a value."""
    network = nn.Sequential(nn.Conv2d(1, 8, 3, padding=1), nn.Conv2d(8, 16, 3, padding=1))
    pixels = 4 * 32 * 32
    assert feature_bytes(network, (1, 1, 32, 32)) == (8 + 16) * pixels
    assert feature_bytes(network, (3, 1, 32, 32)) == 3 * (8 + 16) * pixels


def test_batches_give_what_single_slices_give():
    levels = levels_of("drl")
    slices = np.random.default_rng(0).integers(-200, 300, (5, 40, 44)).astype(np.int16)
    single = denoise_slices(slices, levels, WINDOW, CPU)
    batches = denoise_slices(slices, levels, WINDOW, CPU, InferencePlan(batch=2))
    np.testing.assert_allclose(batches, single, atol=1e-3)


def test_batch_is_halved_where_a_gpu_runs_out_of_memory(monkeypatch):
    sizes = []

    class Large(nn.Module):
        def forward(self, image):
            sizes.append(len(image))
            if len(image) > 2:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return image

    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: None)
    slices = np.random.default_rng(0).integers(-150, 230, (5, 32, 32)).astype(np.int16)
    levels = [Level(Large(), "image")]
    denoised = denoise_slices(slices, levels, WINDOW, CPU, InferencePlan(batch=8))
    np.testing.assert_allclose(denoised, slices, atol=1e-3)
    assert sizes == [5, 4, 2, 2, 1]


def test_bf16_is_near_fp32_and_not_the_same():
    levels = levels_of("drl")
    slices = np.random.default_rng(0).integers(-200, 300, (1, 64, 64)).astype(np.int16)
    exact = denoise_slices(slices, levels, WINDOW, CPU)
    mixed = denoise_slices(slices, levels, WINDOW, CPU, InferencePlan(precision="bf16"))
    assert mixed.dtype == np.float32
    assert 0 < np.abs(mixed - exact).max() < 40


def test_prediction_grows_on_disk_and_appears_whole(tmp_path):
    """Slices reach the disk as they are made; the final name exists only at the end."""
    output = tmp_path / "L001.npy"
    with new_prediction(output, (3, 4, 4)) as prediction:
        prediction[0] = 7
        prediction.flush()
        (temporary,) = tmp_path.iterdir()
        assert temporary != output
        assert np.load(temporary, mmap_mode="r")[0, 0, 0] == 7
        assert not output.exists()
        prediction[1:] = 8
    np.testing.assert_array_equal(np.load(output)[:, 0, 0], [7, 8, 8])
