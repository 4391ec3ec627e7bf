"""Calibration: the protocol behind a Low Dose row is found and written; mistakes are named."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from made_up_volumes import write_doses
from scipy.ndimage import gaussian_filter

from ldct.calibration.report import SIMULATED, ruled_out
from ldct.calibration.solve import by_distance, evenly_spaced, load_grid, score_settings
from ldct.cli import main
from ldct.common.errors import InputError
from ldct.metrics.pixelwise import slice_scores
from ldct.metrics.protocol import Protocol, load_protocol
from ldct.table1.statistics import summarise

CONFIG = Path(__file__).parents[2] / "config"
GRID = load_grid(CONFIG / "calibration/default.yaml")
SHIPPED = {path.stem: load_protocol(path) for path in (CONFIG / "protocols").glob("*.yaml")}
HIDDEN = SHIPPED | {
    "ssim_range_2": replace(SHIPPED["abdomen"], ssim_data_range=2),
    "psnr_range_2": replace(SHIPPED["abdomen"], data_range=2, ssim_data_range=1),
    "unclipped": replace(SHIPPED["abdomen"], clip=False),
    "pooled": replace(SHIPPED["abdomen"], averaging="pooled"),
}


def facts(protocol: Protocol) -> tuple:
    """All that a protocol says, however it is written."""
    return (
        *(protocol.window, protocol.clip, protocol.psnr_range),
        *(protocol.ssim, protocol.ssim_range, protocol.averaging),
    )


def body(seed: int, size: int = 40) -> tuple[np.ndarray, np.ndarray]:
    """LDCT and NDCT (int16 HU) of soft tissue with fat, bone and air around it."""
    rng = np.random.default_rng(seed)
    radius = np.hypot(*(np.indices((size, size)) - size / 2)) / (size / 2)
    tissue = 50 + 60 * gaussian_filter(rng.normal(size=(size, size)), 3) * 10
    full = np.where(radius < 0.8, tissue, np.where(radius < 0.9, -100, -1000))
    full = np.where(np.abs(radius - 0.3) < 0.05, 700, full)
    noise = gaussian_filter(rng.normal(size=(size, size)), 0.7)
    quarter = full + (15 + 20 * seed) * noise / noise.std()
    return tuple(np.round(hu).clip(-1024, 3071).astype(np.int16) for hu in (quarter, full))


PAIRS = [body(seed) for seed in (1, 2, 3)]


def measured(protocol: Protocol) -> pd.Series:
    """What the scoring code gives for the low dose, averaged as the protocol says."""
    rows = pd.DataFrame([slice_scores(ldct, ndct, protocol) for ldct, ndct in PAIRS])
    rows = rows.assign(method="low_dose", seed=0, patient="L1", protocol=protocol.name)
    rows["slice_index"] = rows.index
    return summarise(rows, protocol).iloc[0]


def write_folder(path: Path, patient: str = "L506") -> Path:
    quarter, full = zip(*PAIRS, strict=True)
    return write_doses(path, full, quarter, patient=patient)


def calibrate(folder: Path, *arguments: str) -> int:
    return main(["calibrate", "--test-folders", str(folder), *arguments])


@pytest.fixture(scope="module")
def settings() -> pd.DataFrame:
    return score_settings(PAIRS, GRID)


@pytest.mark.parametrize("hidden", HIDDEN.values(), ids=HIDDEN)
def test_a_hidden_protocol_is_recovered_from_psnr_and_ssim_alone(settings, hidden):
    own = measured(hidden)
    exact = by_distance(settings, own)
    assert exact["distance"].iloc[0] == pytest.approx(0, abs=1e-6)
    # As printed. Some settings give the same numbers by construction and share the first rank.
    printed = by_distance(settings, own[["psnr", "ssim"]].astype(float).round(4))
    first = [GRID.protocols[place] for place in printed.index[printed["rank"] == 1]]
    assert facts(hidden) in [facts(protocol) for protocol in first]
    assert (printed["distance"].iloc[: len(first)] < 0.1).all()


def test_what_never_comes_near_is_said(settings):
    text = ruled_out(by_distance(settings, measured(HIDDEN["abdomen"])))
    assert "window [-1024, 3071]" in text
    assert "window [-160, 240]" not in text and "clipping yes" not in text
    impossible = ruled_out(by_distance(settings, {"psnr": 55.0, "ssim": 0.3}))
    assert "672 settings 0 come within 1 dB and 0.01" in impossible
    assert "window [-160, 240]" in impossible


def test_slices_are_evenly_spaced_and_few():
    assert evenly_spaced(range(844), 3) == [0, 422, 843]
    assert evenly_spaced(range(3), 20) == [0, 1, 2]
    assert GRID.most_slices <= 20


def test_a_window_of_ones_own_is_found_and_its_file_scores_the_same(tmp_path, capsys):
    """From the command line: one's own list, one's own row."""
    content = yaml.safe_load((CONFIG / "calibration/default.yaml").read_text())
    content["windows"] = [{"window": [-142, 213], "used_by": "me"}, content["windows"][0]]
    grid, output = tmp_path / "grid.yaml", tmp_path / "out"
    grid.write_text(yaml.safe_dump(content))
    own = measured(replace(HIDDEN["abdomen"], window=(-142.0, 213.0), ssim_data_range=2))
    row = ("--psnr", f"{own['psnr']:.4f}", "--ssim", f"{own['ssim']:.4f}", "--no-simulated")
    folder = write_folder(tmp_path / "L506")
    assert calibrate(folder, *row, "--grid", str(grid), "--output", str(output)) == 0
    winner = load_protocol(output / "calibrated.yaml")
    assert (winner.window, winner.ssim_range, winner.name) == ((-142, 213), 2, "calibrated")
    again = measured(winner)
    assert again["psnr"] == pytest.approx(own["psnr"], abs=1e-9)
    assert again["ssim"] == pytest.approx(own["ssim"], abs=1e-9)
    table = pd.read_csv(output / "calibration.csv")
    assert len(table) == 2 * 2 * 2 * 6 * 2
    assert table["distance"].is_monotonic_increasing
    page = (output / "calibration.md").read_text()
    assert "[-142, 213" in page and SIMULATED not in page
    for name in ("calibration.html", "calibrated.yaml"):
        assert (output / f"{name}.provenance.json").is_file()
    assert "calibrated.yaml: distance 0.0" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        ([], ["either --published, or --psnr and --ssim"]),
        (["--psnr", "25"], ["either --published, or --psnr and --ssim"]),
        (["--psnr", "25", "--published", "{published}"], ["either --published"]),
        (["--psnr", "25", "--ssim", "82.11"], ["ssim", "82.11", "-1 to 1"]),
        (["--published", "none.yaml"], ["none.yaml", "not found"]),
        (["--published", "{published}", "--grid", "none.yaml"], ["none.yaml"]),
        (["--published", "{published}", "--grid", "{published}"], ["grid", "unknown key"]),
        (["--published", "{published}", "--test-folders", "nowhere"], ["nowhere", "not found"]),
        (["--published", "{published}", "--test-folders", "{discs}"], ["inserted discs"]),
        (
            ["--published", "{published}", "--test-folders", "{folder}", "{folder}"],
            ["found patient L506", "expected each patient once"],
        ),
    ],
)
def test_a_mistake_ends_in_one_line(tmp_path, capsys, arguments, parts):
    folder, discs = write_folder(tmp_path / "L506"), write_folder(tmp_path / "discs", "discs")
    places = {"published": CONFIG / "published.yaml", "folder": folder, "discs": discs}
    filled = [argument.format(**places) for argument in arguments]
    assert calibrate(folder, "--simulated", "--output", str(tmp_path / "out"), *filled) == 1
    message = capsys.readouterr().err.strip()
    assert message.startswith("error: ")
    assert "\n" not in message
    assert all(part in message for part in parts)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({"scan": {}}, ["scan", "allowed"]),
        ({"windows": [{"window": [240, -160], "used_by": "x"}]}, ["[240, -160]", "lower bound"]),
        ({"ssim": [{"kind": "uniform", "size": 8, "data_range": 1}]}, ["ssim.size", "8", "odd"]),
        ({"slices": 844}, ["slices", "844", "1 to 20"]),
    ],
)
def test_a_mistake_in_the_list_is_named(tmp_path, changes, parts):
    content = yaml.safe_load((CONFIG / "calibration/default.yaml").read_text()) | changes
    path = tmp_path / "grid.yaml"
    path.write_text(yaml.safe_dump(content))
    with pytest.raises(InputError) as caught:
        load_grid(path)
    assert all(part in str(caught.value) for part in [str(path), *parts])


def test_equal_images_have_no_protocol(settings):
    with pytest.raises(InputError, match="no setting has a finite PSNR and SSIM"):
        by_distance(settings.assign(psnr=np.inf), {"psnr": 25.0, "ssim": 0.8})
