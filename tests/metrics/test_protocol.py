"""Protocol files: the shipped ones load, and a mistake is named with its remedy."""

from pathlib import Path

import numpy as np
import pytest
import yaml

from ldct.common.errors import InputError
from ldct.metrics.protocol import Protocol, SsimWindow, load_protocol, protocol_text

PROTOCOLS = Path(__file__).parents[2] / "config" / "protocols"
ABDOMEN = yaml.safe_load((PROTOCOLS / "abdomen.yaml").read_text())


def test_the_default_protocol_is_the_documented_one():
    assert load_protocol(PROTOCOLS / "abdomen.yaml") == Protocol(
        name="abdomen",
        window=(-160.0, 240.0),
        clip=True,
        data_range=1.0,
        ssim=SsimWindow("uniform", 7),
        averaging="mean_of_slices",
    )


@pytest.mark.parametrize("path", sorted(PROTOCOLS.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_shipped_protocol_loads_under_its_file_name(path):
    assert load_protocol(path).name == path.stem


def test_int16_hu_are_scaled_and_clipped():
    protocol = load_protocol(PROTOCOLS / "abdomen.yaml")
    unit = protocol.to_unit(np.array([[-32768, -160], [40, 32767]], np.int16))
    np.testing.assert_array_equal(unit, [[0, 0], [0.5, 1]])
    assert unit.dtype == np.float64


def test_side_of_a_gaussian_window_is_that_of_wang_2004_at_sigma_1_5():
    assert [SsimWindow("gaussian", sigma).side for sigma in (1.5, 1.0, 0.5)] == [11, 9, 5]


def test_description_states_all_that_a_reader_needs():
    text = load_protocol(PROTOCOLS / "abdomen.yaml").describe()
    for part in ("[-160, 240] HU", "clipped", "range 1", "7x7 uniform", "mean over slices"):
        assert part in text


def write(tmp_path, **changes):
    content = {key: value for key, value in {**ABDOMEN, **changes}.items() if value is not None}
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({"windw": [0, 1]}, ["windw", "allowed", "window", "averaging"]),
        ({"window": None}, ["missing", "window"]),
        ({"window": [240, -160]}, ["window", "[240, -160]", "lower bound below"]),
        ({"window": [0, 1, 2]}, ["window", "two numbers"]),
        ({"clip": "often"}, ["clip", "often", "true or false"]),
        ({"data_range": "auto"}, ["data_range", "auto", "prediction"]),
        ({"data_range": 0}, ["data_range", "0", "above 0"]),
        ({"averaging": "median"}, ["averaging", "median", "mean_of_slices", "pooled"]),
        ({"ssim": {"kind": "box", "size": 7}}, ["ssim.kind", "box", "uniform", "gaussian"]),
        ({"ssim": {"kind": "uniform", "width": 7}}, ["width", "ssim", "size"]),
        ({"ssim": {"kind": "uniform", "size": 8}}, ["ssim.size", "8", "odd"]),
        ({"ssim": {"kind": "uniform", "sigma": 1.5}}, ["ssim", "sigma", "size alone"]),
        ({"ssim": {"kind": "gaussian"}}, ["ssim", "nothing", "sigma alone"]),
    ],
)
def test_a_mistake_is_named_with_file_key_and_what_is_allowed(tmp_path, changes, parts):
    path = write(tmp_path, **changes)
    with pytest.raises(InputError) as caught:
        load_protocol(path)
    message = str(caught.value)
    assert "\n" not in message
    for part in [str(path), *parts]:
        assert part in message


def test_missing_and_broken_files_are_named(tmp_path):
    with pytest.raises(InputError, match="not found"):
        load_protocol(tmp_path / "none.yaml")
    broken = tmp_path / "broken.yaml"
    broken.write_text("name: [")
    with pytest.raises(InputError, match="not valid YAML"):
        load_protocol(broken)


def test_ssim_may_have_a_range_of_its_own(tmp_path):
    path = write(tmp_path, ssim={"kind": "uniform", "size": 7, "data_range": 2})
    protocol = load_protocol(path)
    assert (protocol.psnr_range, protocol.ssim_range) == (1.0, 2)
    assert "range 1 (PSNR) and 2 (SSIM)" in protocol.describe()
    described = load_protocol(write(tmp_path, data_range="prediction")).describe()
    assert "range 1 (PSNR) and of the prediction (SSIM)" in described
    bad = write(tmp_path, ssim={"kind": "uniform", "size": 7, "data_range": "auto"})
    with pytest.raises(InputError, match=r"ssim.data_range.*'auto'.*above 0"):
        load_protocol(bad)


@pytest.mark.parametrize("ssim_range", [None, 2.0, "prediction"])
@pytest.mark.parametrize("window", [SsimWindow("uniform", 7), SsimWindow("gaussian", 1.5)])
def test_a_protocol_written_as_text_is_read_back(tmp_path, window, ssim_range):
    protocol = Protocol("own", (-2000.0, 3000.0), False, 0.5, window, "pooled", ssim_range)
    path = tmp_path / "own.yaml"
    path.write_text(protocol_text(protocol, ["first line", "key: no YAML"]))
    assert load_protocol(path) == protocol
    assert path.read_text().startswith("# first line\n# key: no YAML\n")
