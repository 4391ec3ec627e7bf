"""Networks made for some sizes: how they are served, and what is told of them."""

import pytest
import torch
from sample_networks import PoolAndGrow
from torch import nn

from ldct.common.errors import InputError
from ldct.denoising.tiling import alignment_of, apply_tiled, margin_of, reach_of
from ldct.networks.chain import Level, apply_levels
from ldct.networks.sizes import AnySize, served
from ldct.networks.trial import try_stage

CPU = torch.device("cpu")
SHAPES = [(512, 512), (100, 131), (65, 47), (31, 64), (64, 64)]


def image(rows, columns, batch=2):
    return torch.rand(batch, 1, rows, columns, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def plain():
    """A network that takes images of any size and sees 7 pixels far."""
    torch.manual_seed(0)
    layers = [nn.Conv2d(1, 4, 7, padding=3), nn.ReLU(), nn.Conv2d(4, 1, 9, padding=4)]
    return nn.Sequential(*layers).eval().requires_grad_(False)


class Positions(nn.Module):
    """Adds one learned value to each of 8 x 8 fields of 8 x 8 pixels."""

    def __init__(self):
        super().__init__()
        self.values = nn.Parameter(torch.linspace(0, 1, 64).view(1, 1, 8, 8))

    def forward(self, images):
        return images + nn.functional.interpolate(self.values, scale_factor=8)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("tile", [32, 48, 64])
def test_tiles_of_a_network_that_needs_none_are_the_whole_slice(plain, shape, tile):
    given = image(*shape)
    found, whole = AnySize(plain, tile=tile)(given), plain(given)
    if min(shape) >= tile:
        torch.testing.assert_close(found, whole, rtol=0, atol=1e-5)
    assert found.shape == whole.shape


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("multiple_of", [2, 7, 16, 128])
def test_padding_changes_nothing_far_from_where_it_is(plain, shape, multiple_of):
    given = image(*shape)
    found, whole = AnySize(plain, multiple_of=multiple_of)(given), plain(given)
    assert found.shape == whole.shape
    rows, columns = (
        size if size % multiple_of == 0 else max(size - 7, 0) for size in given.shape[2:]
    )
    torch.testing.assert_close(
        found[:, :, :rows, :columns], whole[:, :, :rows, :columns], rtol=0, atol=1e-5
    )


def test_a_network_without_keys_is_left_alone(plain):
    assert served(plain, {"name": "mine", "file": "f", "options": {}}) is plain


@pytest.mark.parametrize("shape", SHAPES)
def test_fixed_networks_take_slices_of_any_size(shape):
    for network, sizes in ((Positions(), {"tile": 64}), (PoolAndGrow(), {"multiple_of": 4})):
        found = served(network, sizes)(image(*shape))
        assert found.shape[2:] == shape
        assert found.isfinite().all()


@pytest.mark.parametrize(
    ("network", "sizes", "alignment"),
    [(Positions(), {"tile": 64}, 32), (PoolAndGrow(), {"multiple_of": 12}, 96)],
)
def test_tiles_for_little_memory_fall_as_in_the_whole_slice(network, sizes, alignment):
    levels = [Level(served(network, sizes).eval().requires_grad_(False), "image")]
    assert alignment_of(levels) == alignment
    given, margin = image(512, 480, batch=1), margin_of(levels, CPU)
    assert margin % alignment == 0 and margin >= reach_of(levels, CPU)
    with torch.inference_mode():
        whole = apply_levels(levels, given)
        tiled = apply_tiled(lambda x: apply_levels(levels, x), given, alignment, margin, alignment)
    torch.testing.assert_close(tiled, whole, rtol=0, atol=1e-5)


HEAD = "import torch\nimport torch.nn.functional as F\nfrom torch import nn\n"
BODY = """
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.a = nn.Conv2d(1, 1, 3, padding=1)
        self.p = nn.Parameter(torch.zeros(1, 1, 8, 8))
    def forward(self, x):
        y = self.a(x)
        {body}
def build():
    return Net()
"""
GROW = "return y + F.interpolate(F.max_pool2d(x, {n}), scale_factor={n})"
WINDOW = "return y + F.fold(F.unfold(x, 7, stride=7), x.shape[2:], 7, stride=7)"
STD = "x.std((2, 3), keepdim=True)"


def stage(folder, body, side=32, **sizes):
    file = folder / "network.py"
    file.write_text(HEAD + BODY.format(body=body), encoding="utf-8")
    network = {"file": str(file), "options": {}, **sizes}
    return {"model": "mine", "network": network, "inputs": ["previous"], "tile_size": side}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("return y + F.interpolate(self.p, scale_factor=8)", "32 x 32 .* write `tile: 64`"),
        ("return y + F.interpolate(self.p, scale_factor=4) * 2", "64 x 64 .* `tile: 32`"),
        (GROW.format(n=16), "65 x 47 .* multiples of 16 alone: write `multiple_of: 16`"),
        (GROW.format(n=128), "`multiple_of: 128`"),
        ("return F.interpolate(F.conv2d(x, torch.ones(1, 1, 40, 40)), x.shape[2:])", "of: 40`"),
        ("return y + torch.eye(x.shape[2]) @ x + x @ x", "square images alone: write `tile: 64`"),
        ("assert x.shape[3] in (32, 64, 128); return y", "sides of 32, 64, 128 .* `tile: 64`"),
        ("x *= 2; return y + x", "changes its input in place"),
        ("return self.a(F.relu_(x))", "changes its input in place"),
        ("return y, x", "returns a tuple, expected one tensor"),
        ("return {'image': y}", "returns a dict"),
        ("return y.double()", "returns float64, expected float32"),
        ("return y[..., 2:-2, 2:-2]", r"makes shape \(1, 1, 28, 28\) of \(1, 1, 32, 32\)"),
        ("return y[:, 0]", r"makes shape \(1, 32, 32\)"),
        (f"return y / {STD}", r"a tile of 0 \(air.* everywhere: found NaN"),
        ("return y + 0 * torch.log(x)", "found NaN or infinite"),
        (f"return y / ({STD} if self.training else 1)", "in training: found NaN"),
        ("return y + self.p.mean() * (y - y).square().sum().sqrt()", "gradient of .*: found NaN"),
        ("return y - y.mean(0, keepdim=True)", "when another one is in its batch"),
        ("return F.batch_norm(y, None, None, training=True)", "another one is in its batch"),
        ("return y + torch.rand_like(y)", "other values the second time"),
        ("return y.detach()", "does not depend on its parameters"),
        ("return y * float(x.max())", "looks at the values of its input"),
    ],
)
def test_a_network_that_does_not_answer_as_it_must_is_told_in_words(tmp_path, body, message):
    before = torch.random.get_rng_state()
    with pytest.raises(InputError, match=message) as caught:
        try_stage(stage(tmp_path, body), [(64, 64), (65, 47)])
    assert "\n" not in str(caught.value) and "network.py" in str(caught.value)
    assert torch.equal(before, torch.random.get_rng_state())


@pytest.mark.parametrize(
    ("body", "sizes"),
    [
        ("return y + F.interpolate(self.p, scale_factor=8)", {"tile": 64}),
        (GROW.format(n=16), {"multiple_of": 16}),
        (WINDOW, {"multiple_of": 7}),
        (WINDOW, {"tile": 70}),
        ("return y", {}),
    ],
)
def test_a_card_that_says_the_rule_is_served(tmp_path, body, sizes):
    side = sizes.get("tile", 112)
    try_stage(stage(tmp_path, body, side, **sizes), [(64, 64), (65, 47), (512, 512)])


def test_a_card_with_the_wrong_rule_is_told_the_right_one(tmp_path):
    body = "return y + F.interpolate(self.p, scale_factor=8)"
    with pytest.raises(InputError, match=r"with tile: 32: fails on .* write `tile: 64`"):
        try_stage(stage(tmp_path, body, 32, tile=32), [(64, 64)])
