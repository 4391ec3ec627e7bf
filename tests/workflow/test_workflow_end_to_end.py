"""The whole workflow on three synthetic patients in the AAPM conventions: every output, checked."""

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from workflow_runs import (
    CONFIG,
    LEARNED,
    METHODS,
    MODELS,
    PATIENT,
    copy_checkout,
    rows_of_summary,
    snakemake,
    write_inputs,
)

pytestmark = pytest.mark.end_to_end
PNG, PDF = b"\x89PNG\r\n\x1a\n", b"%PDF-"


def prediction_file(run: Path, method: str) -> Path:
    seed = "0" if method in LEARNED else "fixed"
    return run / "results/tiny/predictions" / method / seed / f"{PATIENT}.npy"


def in_window(image_hu: np.ndarray) -> np.ndarray:
    return np.clip((image_hu.astype(np.float64) + 160) / 400, 0, 1)


def test_table1_is_what_scikit_image_finds_in_the_prediction_files(finished_run):
    """Mean over regular slices of PSNR and SSIM, window [-160, 240], range 1, default SSIM."""
    folder = finished_run / f"results/tiny/test/{PATIENT}"
    full, regular = (
        np.load(folder / "full.npy"),
        json.loads((folder / "volume.json").read_text())["regular"],
    )
    table = pd.read_csv(finished_run / "results/tiny/tables/table1.csv", comment="#")
    table = table.set_index("method")
    for method in METHODS:
        prediction = np.load(prediction_file(finished_run, method))
        assert prediction.shape == full.shape
        assert prediction.dtype == np.float32
        chosen = zip(full[regular], prediction[regular], strict=True)
        pairs = [(in_window(a), in_window(b)) for a, b in chosen]
        psnr = np.mean([peak_signal_noise_ratio(a, b, data_range=1) for a, b in pairs])
        ssim = np.mean([structural_similarity(a, b, data_range=1) for a, b in pairs])
        assert table.loc[method, "psnr"] == pytest.approx(psnr, abs=1e-4), method
        assert table.loc[method, "ssim"] == pytest.approx(ssim, abs=1e-4), method


def test_table1_stands_in_four_formats(finished_run):
    tables = finished_run / "results/tiny/tables"
    for suffix in ("md", "tex", "html"):
        text = (tables / f"table1.{suffix}").read_text(encoding="utf-8")
        for title in ("Low Dose", "BM3D", "DRL", "Proposed", "synthetic AAPM look-alike"):
            assert title in text, (suffix, title)
        assert "2 steps" in text
    assert (tables / "table1.html").read_text(encoding="utf-8").lstrip().lower().startswith("<!doc")


def test_bm3d_improves_on_low_dose(finished_run):
    """Even on tiny images; two training steps of a network prove nothing about its quality."""
    table = pd.read_csv(finished_run / "results/tiny/tables/table1.csv", comment="#")
    psnr = table.set_index("method")["psnr"]
    assert psnr["bm3d"] > psnr["low_dose"] + 1


def test_test_set_holds_every_fourth_and_every_lesion_slice(finished_run):
    info = json.loads((finished_run / f"results/tiny/test/{PATIENT}/volume.json").read_text())
    lesions = pd.read_csv(finished_run / "data/lookalike/lesions.csv")
    lesions = lesions[lesions["patient"] == PATIENT]
    assert len(lesions) == 3
    volume = finished_run / f"data/lookalike/volumes/{PATIENT}"
    z_mm = np.array(json.loads((volume / "volume.json").read_text())["z_mm"])
    with_lesion = {int(np.argmin(np.abs(z_mm - z))) for z in lesions["z_mm"]}
    assert set(info["slice_index"]) == {0, 4} | with_lesion
    assert info["regular"] == [index in (0, 4) for index in info["slice_index"]]
    whole = np.load(volume / "full.npy")
    np.testing.assert_array_equal(
        np.load(finished_run / f"results/tiny/test/{PATIENT}/full.npy"), whole[info["slice_index"]]
    )


def test_volumes_hold_the_pixels_of_the_dicom_files(finished_run):
    """Read again with pydicom alone."""
    import pydicom

    for dose in ("full", "quarter"):
        files = (finished_run / f"dicom/{PATIENT}/{dose}_1mm").iterdir()
        slices = sorted(
            (pydicom.dcmread(f) for f in files), key=lambda s: s.ImagePositionPatient[2]
        )
        expected = np.stack([s.pixel_array.astype(np.int32) - 1024 for s in slices])
        found = np.load(finished_run / f"data/lookalike/volumes/{PATIENT}/{dose}.npy")
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("name", ["fig1_network", "fig2_cascade", "fig3_lesion"])
def test_figures_are_written_as_png_and_pdf(finished_run, name):
    figures = finished_run / "results/tiny/figures"
    assert (figures / f"{name}.png").read_bytes().startswith(PNG)
    assert (figures / f"{name}.pdf").read_bytes().startswith(PDF)


def test_every_lesion_slice_of_the_test_set_has_a_panel(finished_run):
    lesions = pd.read_csv(finished_run / "data/lookalike/lesions.csv")
    expected = len(lesions[lesions["patient"] == PATIENT])
    panels = sorted((finished_run / "results/tiny/lesions").glob("*.png"))
    assert len(panels) == expected == 3
    assert all(PATIENT in panel.name for panel in panels)
    assert all(panel.read_bytes().startswith(PNG) for panel in panels)


def test_every_output_has_a_provenance_record(finished_run):
    run, data = finished_run / "results/tiny", finished_run / "data/lookalike"
    outputs = [
        data / "index.parquet",
        data / "tiles.npy",
        data / "lesions.csv",
        *(data / f"volumes/{patient}/volume.json" for patient in ("L901", "L902", "L903")),
        run / f"test/{PATIENT}/volume.json",
        *(run / f"models/{model}/0/weights.safetensors" for model in MODELS),
        run / "models/bm3d/fixed/parameters.json",
        *run.glob("predictions/*/*/*.npy"),
        *run.glob("scores/*/*/*.parquet"),
        run / "viewer/slices.json",
        *(run / f"tables/table1.{suffix}" for suffix in ("csv", "md", "tex", "html")),
        *(path for path in run.glob("figures/*") if path.suffix in (".png", ".pdf")),
    ]
    assert len(outputs) > 30
    for output in outputs:
        assert output.is_file(), output
        record = json.loads(output.with_name(output.name + ".provenance.json").read_text())
        assert record["output"] == output.name
        assert record["packages"]["numpy"] == np.__version__
        assert record["seconds"] >= 0


def test_each_stage_is_trained_once_and_progress_is_shown(finished_run):
    folders = {path.parent.name for path in finished_run.glob("results/tiny/models/*/0")}
    assert folders == set(MODELS)
    printed = (finished_run / "first_output.txt").read_text()
    assert re.search(r"^train +3$", printed, re.MULTILINE)
    lines = re.findall(r"^(\d+) of (\d+) jobs, .+ so far(, about .+ left)?$", printed, re.MULTILINE)
    assert len(lines) > 30 and lines[0][2] and lines[-1][0] == lines[-1][1]


def test_every_job_left_a_log_and_a_benchmark(finished_run):
    logs = {row[3] for row in rows_of_summary(finished_run)}
    assert len(logs) > 30
    assert all((finished_run / log).is_file() for log in logs)
    benchmarks = [*finished_run.glob("results/tiny/benchmarks/**/*.tsv")]
    benchmarks += finished_run.glob("data/lookalike/benchmarks/**/*.tsv")
    assert len(benchmarks) == len(logs)


def test_resolved_configuration_is_saved_with_the_run(finished_run):
    saved = yaml.safe_load((finished_run / "results/tiny/config.yaml").read_text())
    assert saved["budget"] == CONFIG["budget"]
    assert saved["dataset"]["patients"][PATIENT]["split"] == "test"
    assert saved["chains"]["proposed"] == ["lsgan", "proposed_level2"]
    assert saved["scaling"]["window"] == [-160, 240]


def test_second_call_does_nothing_and_says_so(finished_run):
    outcome = snakemake(finished_run, "--cores", "2")
    assert outcome.returncode == 0
    assert "Nothing to be done" in outcome.stdout


def test_html_report_is_made_from_the_finished_run(finished_run, tmp_path):
    report = tmp_path / "report.html"
    outcome = snakemake(finished_run, "--report", str(report))
    assert outcome.returncode == 0, outcome.stdout
    text = report.read_text(encoding="utf-8")
    for caption in ("Table I", "Lesion panels", "inventory", "All on one page"):
        assert caption in text


def test_the_page_shows_the_values_of_the_table(finished_run):
    page = (finished_run / "results/tiny/index.html").read_text(encoding="utf-8")
    table = pd.read_csv(finished_run / "results/tiny/tables/table1.csv")
    assert all(f"{row.psnr:.2f}" in page and row.title in page for row in table.itertuples())
    for section in ("claims", "lesions", "texture", "cost", "curves", "methods", "fig3"):
        assert f'id="{section}"' in page
    assert len(page) < 15e6


def test_report_of_the_data_doctor_outlives_a_failed_index(tmp_path):
    folder = copy_checkout(tmp_path / "checkout")
    tree = write_inputs(folder, slices=3, size=64)
    missing, present = list(tree.files)[:2]
    shutil.rmtree(folder / "dicom" / missing)
    outcome = snakemake(folder, "--cores", "1", "data/lookalike/inventory.md")
    assert outcome.returncode != 0
    kept = folder / "logs/lookalike/inventory.md"
    assert str(kept.relative_to(folder)) in outcome.stdout
    report = kept.read_text(encoding="utf-8")
    assert f"| {missing} | train | 3 | 0 | 0 | 0 |" in report
    assert f"| {present} | train | 3 | 3 | 3 | 3 |" in report
    assert not (folder / "data/lookalike/index.parquet").exists()
