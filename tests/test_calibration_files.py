"""`python -m ldct calibrate`: its files, folders and arguments, and what a mistake in them says."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image
from test_calibration import CONFIG, GRID, KNOWN, PAIRS, UNIFORM, measured

from ldct.cli import main
from ldct.errors import InputError
from ldct.evaluation.calibration_grid import (
    load_grid,
    load_published,
)
from ldct.evaluation.calibration_scores import (
    load_pairs,
)
from ldct.evaluation.calibration_tiles import count_tiles
from ldct.evaluation.protocol import load_protocol
from ldct.files import read_json, write_json
from ldct.reporting.calibration_report import SIMULATED


def write_folder(path: Path, pairs=PAIRS, patient="L506") -> Path:
    path.mkdir()
    np.save(path / "quarter.npy", np.array([ldct for ldct, _ in pairs]))
    np.save(path / "full.npy", np.array([ndct for _, ndct in pairs]))
    indices = list(range(len(pairs)))
    write_json(
        path / "volume.json",
        {"patient": patient, "slice_index": indices, "z_mm": [float(i) for i in indices]},
    )
    return path


@pytest.fixture
def grid_file(tmp_path) -> Path:
    content = yaml.safe_load((CONFIG / "calibration/default.yaml").read_text())
    content["scan"] = {"centre": {"from": 0, "to": 100, "step": 50}, "width": [300, 400, 800]}
    content |= {"refinements": 1, "positions": 3000, "windows": content["windows"][:3]}
    path = tmp_path / "grid.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


def calibrate(folder: Path, *arguments: str) -> int:
    return main(["calibrate", "--test-folders", str(folder), *arguments])


def test_verb_writes_table_page_map_and_a_protocol_file_that_loads(tmp_path, grid_file, capsys):
    folder = write_folder(tmp_path / "L506")
    hidden = KNOWN["abdomen"]
    own = measured(hidden)
    output = tmp_path / "out"
    status = calibrate(
        folder,
        *("--psnr", f"{own['psnr']:.4f}", "--ssim", f"{own['ssim']:.4f}", "--same-slices"),
        *("--no-simulated", "--grid", str(grid_file), "--output", str(output)),
    )
    assert status == 0
    assert "[-160, 240]" in capsys.readouterr().out
    winner = load_protocol(output / "calibrated.yaml")
    assert (winner.window, winner.clip, winner.ssim) == ((-160.0, 240.0), True, UNIFORM)
    table = pd.read_csv(output / "calibration.csv")
    assert table["misfit"].dropna().is_monotonic_increasing
    page = (output / "calibration.md").read_text()
    assert "window [-160, 240] HU" in page
    assert "simulated" not in page.lower()
    summary = read_json(output / "calibration.json")
    assert summary["best"]["verdict"] == "fits"
    assert summary["same_slices"] is True
    with Image.open(output / "calibration_heatmap.png") as image:
        assert image.width > 1000
        assert len(np.unique(np.asarray(image.convert("L")))) > 20
    for name in ("calibration.csv", "calibrated.yaml", "calibration_heatmap.pdf"):
        assert (output / f"{name}.provenance.json").is_file()


def test_simulated_dose_is_said_in_every_file_and_in_the_winners_name(tmp_path, grid_file):
    folder = write_folder(tmp_path / "L506")
    training = write_folder(tmp_path / "L067", patient="L067")
    output = tmp_path / "out"
    status = calibrate(
        folder,
        *("--published", str(CONFIG / "published.yaml"), "--simulated", "--grid", str(grid_file)),
        *("--tile-folders", str(training), "--tile-size", "16", "--tile-stride", "16"),
        *("--output", str(output)),
    )
    assert status == 0
    assert not (output / "calibrated.yaml").exists()
    winner = output / "calibrated_simulated_dose.yaml"
    assert load_protocol(winner).name == "calibrated_simulated_dose"
    assert winner.read_text().startswith(f"# {SIMULATED.upper()}")
    page = (output / "calibration.md").read_text()
    assert SIMULATED in page
    assert "25.4247" in page
    assert "281,660: they are not its volumes" in page
    assert read_json(output / "calibration.json")["simulated"] is True
    record = read_json(output / "calibration.md.provenance.json")
    assert record["settings"]["tiles"] == {"published": 281660, "size": 16, "stride": 16}
    for name in ("full.npy", "quarter.npy", "volume.json"):
        assert {str(folder / name), str(training / name)} <= set(record["inputs"])


def test_all_slices_of_the_paper_bring_no_spread_of_slices(tmp_path, grid_file):
    folder = write_folder(tmp_path / "L506")
    row = {"psnr": 25.4, "ssim": 0.82, "counts": {"test_slices": len(PAIRS)}}
    published = tmp_path / "row.json"
    write_json(published, row)
    common = ("--published", str(published), "--grid", str(grid_file), "--output")
    assert calibrate(folder, *common, str(tmp_path / "a"), "--no-simulated") == 0
    assert read_json(tmp_path / "a/calibration.json")["same_slices"] is True
    assert calibrate(folder, *common, str(tmp_path / "b"), "--simulated") == 0
    assert read_json(tmp_path / "b/calibration.json")["same_slices"] is False


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        ([], ["no psnr, ssim or rmse_hu"]),
        (["--psnr", "high"], ["psnr", "'high'", "a number"]),
        (["--ssim", "82.11"], ["ssim", "82.11", "-1 to 1"]),
        (["--psnr", "25", "--published", "{published}"], ["one or the other"]),
        (["--published", "none.yaml"], ["none.yaml", "not found"]),
        (["--published", "{published}", "--row", "gan"], ["no row 'gan'", "low_dose"]),
        (["--psnr", "25", "--simulated", "--tiles", "281660"], ["--tile-folders"]),
        (["--psnr", "25", "--simulated", "--tile-folders", "{folder}"], ["--tiles"]),
        (["--psnr", "25"], ["{folder}", "--simulated or --no-simulated"]),
        (["--psnr", "25", "--grid", "none.yaml"], ["none.yaml", "not found"]),
        (["--psnr", "25", "--grid", "{published}"], ["published.yaml", "unknown key"]),
        (["--psnr", "25", "--test-folders", "nowhere"], ["nowhere", "not found"]),
    ],
)
def test_a_mistake_ends_in_one_line(tmp_path, capsys, arguments, parts):
    folder = write_folder(tmp_path / "L506")
    places = {"published": CONFIG / "published.yaml", "folder": folder}
    filled = [argument.format(**places) for argument in arguments]
    assert calibrate(folder, "--output", str(tmp_path / "out"), *filled) == 1
    message = capsys.readouterr().err.strip()
    assert message.startswith("error: ")
    assert "\n" not in message
    for part in parts:
        assert part.format(**places) in message
    assert not (tmp_path / "out").exists()


def write_discs(path: Path) -> Path:
    """A folder as that of the run's inserted discs."""
    write_folder(path, patient="discs")
    write_json(path / "discs.json", {"crops": []})
    return path


def test_discs_beside_the_patients_are_no_slices(tmp_path, capsys):
    """`test/*` of a run names them too: they would be scored as slices."""
    folder, discs = write_folder(tmp_path / "L506"), write_discs(tmp_path / "discs")
    arguments = ("--test-folders", str(discs), str(folder), "--psnr", "25", "--no-simulated")
    assert main(["calibrate", *arguments, "--output", str(tmp_path / "out")]) == 1
    message = capsys.readouterr().err
    assert str(discs) in message
    assert "inserted discs" in message
    assert "leave this folder out" in message
    (discs / "discs.json").unlink()
    with pytest.raises(InputError, match="inserted discs"):
        load_pairs([folder, discs])


@pytest.mark.parametrize("second", ["L506", "again"])
def test_a_patient_counts_once(tmp_path, second):
    folder = write_folder(tmp_path / "L506")
    other = folder if second == "L506" else write_folder(tmp_path / second)
    with pytest.raises(InputError, match=r"found patient L506, whom .*L506 holds already"):
        load_pairs([folder, other])
    with pytest.raises(InputError, match="expected each patient once"):
        count_tiles([folder, other], 5, 16, 16)


def write_run(path: Path, simulated: bool) -> Path:
    """A run with one test patient; returns the patient's folder."""
    (path / "test").mkdir(parents=True)
    folder = write_folder(path / "test" / "L506")
    write_json(folder / "volume.json", read_json(folder / "volume.json") | {"dataset": "own"})
    dataset = {"name": "own", "simulated": simulated}
    (path / "config.yaml").write_text(yaml.safe_dump({"dataset": dataset}))
    return folder


@pytest.mark.parametrize(
    ("of_run", "option", "expected"),
    [
        (True, [], True),
        (False, [], False),
        (True, ["--no-simulated"], False),
        (False, ["--simulated"], True),
    ],
)
def test_the_run_says_whether_the_dose_is_simulated(tmp_path, grid_file, of_run, option, expected):
    folder = write_run(tmp_path / "run", of_run)
    output = tmp_path / "out"
    common = ("--psnr", "30", "--grid", str(grid_file), "--output", str(output))
    assert calibrate(folder, *common, *option) == 0
    assert read_json(output / "calibration.json")["simulated"] is expected
    assert (output / "calibrated_simulated_dose.yaml").exists() is expected


@pytest.mark.parametrize("content", ["dataset: other", "dataset: {name: other, simulated: true}"])
def test_a_configuration_of_something_else_says_nothing(tmp_path, capsys, content):
    folder = write_run(tmp_path / "run", simulated=True)
    (tmp_path / "run" / "config.yaml").write_text(content)
    assert calibrate(folder, "--psnr", "30", "--output", str(tmp_path / "out")) == 1
    assert "give --simulated or --no-simulated" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({"scans": {}}, ["scans", "allowed"]),
        ({"windows": [{"window": [240, -160], "used_by": "x"}]}, ["[240, -160]", "lower bound"]),
        ({"clip": ["yes"]}, ["clip", "true or false"]),
        ({"ssim": [{"kind": "uniform", "size": 8, "data_range": 1}]}, ["ssim.size", "8", "odd"]),
        ({"ssim": [{"kind": "uniform", "size": 7}]}, ["ssim", "missing data_range"]),
        (
            {"scan": {"centre": {"from": 9, "to": 0, "step": 1}, "width": [400]}},
            ["scan.centre", "from 9 to 0"],
        ),
    ],
)
def test_a_mistake_in_the_grid_is_named(tmp_path, changes, parts):
    content = yaml.safe_load((CONFIG / "calibration/default.yaml").read_text()) | changes
    path = tmp_path / "grid.yaml"
    path.write_text(yaml.safe_dump(content))
    with pytest.raises(InputError) as caught:
        load_grid(path)
    for part in [str(path), *parts]:
        assert part in str(caught.value)


def test_the_shipped_grid_holds_the_choices_that_are_known_to_differ():
    cuts = GRID.cuts()
    assert len(cuts) == len(set(cuts))
    assert {(-160.0, 240.0), (-1024.0, 3071.0)} <= set(GRID.used_by)
    described = {variant.describe() for variant in GRID.ssim}
    assert {
        "gaussian 1.5, range 1",
        "uniform 7, range 2",
        "uniform 7, range prediction",
    } <= described
    assert {True, False} == set(GRID.clips)
    assert {"mean_of_slices", "pooled"} == set(GRID.averagings)


def test_the_published_row_is_read_with_its_decimals():
    row, counts = load_published(CONFIG / "published.yaml")
    assert row.values == {"psnr": 25.4247, "ssim": 0.8211}
    assert row.decimals == {"psnr": 4, "ssim": 4}
    assert counts["training_tiles"] == 281660
    assert row.rounding("psnr") == pytest.approx(1e-4 / np.sqrt(12))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("rows: [1]", r"key 'rows': found \[1\], expected a mapping"),
        ("rows: {low_dose: 25.4}", r"row 'low_dose': found 25\.4"),
        ("psnr: 25.4\ncounts: 844", "key 'counts': found 844"),
        ("run: demo", r"no psnr, ssim or rmse_hu"),
        ("psnr: [", "not valid YAML"),
    ],
)
def test_a_mistake_in_the_published_row_is_named(tmp_path, content, message):
    path = tmp_path / "row.yaml"
    path.write_text(content)
    with pytest.raises(InputError, match=message) as caught:
        load_published(path)
    assert str(path) in str(caught.value)


def test_tiles_are_counted_as_the_training_tiles_are(tmp_path):
    folder = write_folder(tmp_path / "L067")
    tiles = count_tiles([folder], 5, 16, 16)
    images = np.load(folder / "quarter.npy").reshape(3, 3, 16, 3, 16)
    maxima = images.max(axis=(2, 4)).ravel()
    assert tiles.kept(-500) == np.count_nonzero(maxima > -500)
    with pytest.raises(InputError, match="smaller than a tile"):
        count_tiles([folder], 5, 128, 128)
