"""Tables and figures of lesions and of detectability, from measured values."""

import json
import re

import matplotlib.image
import numpy as np
import pandas as pd
import pytest
from scipy import stats

from ldct.cli import main
from ldct.data.disc_set import PATIENT
from ldct.errors import InputError
from ldct.evaluation.disc_detection import COLUMNS as DISC_COLUMNS
from ldct.evaluation.disc_detection import (
    measure_discs,
    pair_of,
    paired_interval,
    write_detectability,
)
from ldct.evaluation.lesion_bench import COLUMNS as LESION_COLUMNS
from ldct.evaluation.lesion_bench import PLACE, SPECTRUM_COLUMNS
from ldct.files import write_json, write_text
from ldct.reporting.bench_tables import number, with_bounds

SITES, CROP = 24, 32
SIGNALS = [{"contrast_hu": c, "diameter_mm": d} for c in (-30, -60) for d in (4, 6)]
TITLES = [["ndct", "NDCT"], ["ldct", "LDCT"], ["keen", "Keen & sharp"], ["blind", "Blind"]]
NOTE = "simulated dose on a phantom; 2 steps"
STATISTICS = '{"confidence": 0.9}'


@pytest.fixture
def discs(tmp_path):
    """Folder of discs in white noise, written out, and predictions of two methods."""
    rng = np.random.default_rng(0)
    axis = np.arange(CROP) - CROP // 2
    radius = np.hypot(axis[:, None], axis)
    crops, clean = [], []
    for site in range(SITES):
        ground = 60 + rng.normal(0, 8, (CROP, CROP))
        for signal in (None, *SIGNALS):
            place = {"contrast_hu": None, "diameter_mm": None} if signal is None else signal
            crops.append({"site": site, **place})
            disc = 0 if signal is None else radius <= signal["diameter_mm"] / 2
            clean.append(ground + disc * (signal["contrast_hu"] if signal else 0))
    noise = np.repeat(rng.normal(0, 30, (SITES, CROP, CROP)), 1 + len(SIGNALS), axis=0)
    full = np.rint(clean).astype(np.int16)
    quarter = np.rint(clean + noise).astype(np.int16)
    folder = tmp_path / "test/discs"
    folder.mkdir(parents=True)
    np.save(folder / "full.npy", full)
    np.save(folder / "quarter.npy", quarter)
    write_json(
        folder / "discs.json",
        {
            "patient": "P1",
            "pixel_mm": [1.0, 1.0],
            "signals": SIGNALS,
            "sites": [{"slice_index": site // 3} for site in range(SITES)],
            "crops": crops,
            "dose": {"noise_ratio": 2.0},
            "problem": None,
        },
    )
    for method, images in {
        "keen": full + 0.3 * noise,
        "blind": np.repeat(noise, 1, axis=0),
    }.items():
        path = tmp_path / f"predictions/{method}/0/discs.npy"
        path.parent.mkdir(parents=True)
        np.save(path, images.astype(np.float32))
    return folder


def predictions(folder):
    return sorted((folder.parents[1] / "predictions").rglob("discs.npy"))


def test_detectability_of_every_method_disc_and_observer(discs, tmp_path):
    write_detectability(discs, predictions(discs), tmp_path / "detectability")
    frames = {
        path.parent.name: pd.read_parquet(path)
        for path in (tmp_path / "detectability").rglob("*.parquet")
    }
    assert set(frames) == {"ndct", "ldct", "keen", "blind"}
    for frame in frames.values():
        assert list(frame.columns) == DISC_COLUMNS
        assert len(frame) == len(SIGNALS) * 2
        assert (frame["n_signals"] == SITES).all()
        assert (frame["lower"] <= frame["d_prime"]).all()
        assert (frame["d_prime"] <= frame["upper"]).all()
    cho = {name: frame[frame["observer"] == "cho"]["d_prime"] for name, frame in frames.items()}
    assert (cho["ndct"] > cho["keen"]).all()
    assert (cho["keen"] > cho["ldct"]).all()
    # Noise alone: identical with and without disc.
    np.testing.assert_allclose(cho["blind"], 0, atol=1e-6)
    np.testing.assert_array_equal(frames["ldct"]["change"], 0)
    assert (frames["keen"]["change_lower"] > 0).any()
    own, low = (frames[name].query("observer == 'cho'") for name in ("keen", "ldct"))
    one = own.iloc[:1], low.iloc[:1]
    expected = one[0].iloc[0][["change", "change_lower", "change_upper"]].to_numpy(float)
    paired = paired_interval(*one)
    np.testing.assert_allclose((paired.estimate, paired.lower, paired.upper), expected)
    paired = paired_interval(own, low)
    assert paired.estimate == pytest.approx(own["change"].mean())
    assert paired.lower < paired.estimate < paired.upper
    npw = frames["ldct"][frames["ldct"]["observer"] == "npw"]["d_prime"].to_numpy()
    np.testing.assert_allclose(npw[2:] / npw[:2], 2, rtol=0.1)  # twice the contrast


def test_pairs_belong_to_the_same_site(discs):
    content = json.loads((discs / "discs.json").read_text())
    index = np.arange(len(content["crops"]))
    absent, present = pair_of(index, content, SIGNALS[2])
    np.testing.assert_array_equal(absent, 5 * np.arange(SITES))
    np.testing.assert_array_equal(present, absent + 3)


def test_pairs_are_found_in_any_order_of_the_crops(discs):
    content = json.loads((discs / "discs.json").read_text())
    order = np.random.default_rng(1).permutation(len(content["crops"]))
    mixed = {**content, "crops": [content["crops"][place] for place in order]}
    index = np.arange(len(order))
    for pair in zip(
        pair_of(index, content, SIGNALS[1]), pair_of(index[order], mixed, SIGNALS[1]), strict=True
    ):
        np.testing.assert_array_equal(*pair)


def test_prediction_of_another_shape_is_refused(discs):
    with pytest.raises(InputError, match=f"predict {PATIENT} again"):
        measure_discs(np.zeros((3, CROP, CROP)), discs, "some", 0)


def draw_discs(discs, tmp_path):
    arguments = ["detectability", "--discs", discs, "--predictions", *predictions(discs)]
    arguments += ["--statistics", STATISTICS]
    assert main([*map(str, arguments), "--output", str(tmp_path / "detectability")]) == 0
    measured = sorted((tmp_path / "detectability").rglob("*.parquet"))
    arguments = ["draw-detectability", "--measured", *measured, "--titles", json.dumps(TITLES)]
    arguments += ["--note", NOTE, "--credit", "Credit & thanks.", "--discs", discs / "discs.json"]
    arguments += ["--statistics", STATISTICS]
    arguments += ["--tables", tmp_path / "tables/d", "--figure", tmp_path / "figures/d"]
    assert main(list(map(str, arguments))) == 0


def test_detectability_report_names_data_dose_and_scope(discs, tmp_path):
    draw_discs(discs, tmp_path)
    page = (tmp_path / "tables/d.html").read_text()
    text = (tmp_path / "tables/d.md").read_text()
    for content in (page, text):
        for part in (NOTE, "simulated", "they say nothing of other patients", "P1"):
            assert part in content
    assert "Keen &amp; sharp" in page
    assert "Credit &amp; thanks." in page
    table = pd.read_csv(tmp_path / "tables/d.csv")
    assert len(table) == len(TITLES) * len(SIGNALS) * 2
    picture = matplotlib.image.imread(tmp_path / "figures/d.png")
    assert picture.shape[1] == pytest.approx(7.16 * 300, abs=1)
    assert (tmp_path / "figures/d.pdf").stat().st_size > 1000
    record = json.loads((tmp_path / "figures/d.png.provenance.json").read_text())
    assert any(path.endswith("keen/0.parquet") for path in record["inputs"])
    assert (tmp_path / "figures/d.pdf.provenance.json").is_file()


def test_intervals_of_discs_have_the_confidence_of_the_run(discs, tmp_path):
    draw_discs(discs, tmp_path)
    asked = pd.read_parquet(tmp_path / "detectability/keen/0.parquet")
    write_detectability(discs, predictions(discs), tmp_path / "wider", 0.99)
    wider = pd.read_parquet(tmp_path / "wider/keen/0.parquet")
    assert (wider["change_upper"] > asked["change_upper"]).all()
    ratio = stats.t.ppf(0.995, SITES - 1) / stats.t.ppf(0.95, SITES - 1)
    reach = [frame["upper"] - frame["d_prime"] for frame in (wider, asked)]
    np.testing.assert_allclose(reach[0] / reach[1], ratio)
    text = (tmp_path / "tables/d.md").read_text()
    assert "90 % jackknife intervals" in text
    assert "95 %" not in text


def test_without_discs_the_report_says_why(discs, tmp_path):
    content = json.loads((discs / "discs.json").read_text())
    content |= {"signals": [], "crops": [], "sites": [], "problem": "no flat soft tissue"}
    write_json(discs / "discs.json", content)
    draw_discs(discs, tmp_path)
    assert "No discs were inserted: no flat soft tissue." in (tmp_path / "tables/d.md").read_text()
    assert (tmp_path / "figures/d.png").is_file()


def lesion_frame(method, shift=0.0, **changes):
    rows = [
        {
            **dict.fromkeys(LESION_COLUMNS, np.nan),
            "method": method,
            "seed": 0,
            "patient": "P1",
            "slice_index": index,
            "z_mm": 2.0 * index,
            "lesion": "1",
            "label": "made",
            "diameter_mm": 12.0,
            "cnr": 3.0 + shift + 0.1 * index,
            "contrast_retention": 0.9,
            "contrast_hu": -30.0,
            "outside_window": 0.0,
            "crop_psnr": 30.0,
            "crop_ssim": 0.9,
            "note": "lesion too small for an edge (2.0 pixels deep)",
            **changes,
        }
        for index in range(6)
    ]
    return pd.DataFrame(rows)[LESION_COLUMNS]


def spectra_of(frame):
    """A flat profile of each slice that has a mean frequency."""
    known = frame[frame["mean_frequency"].notna()]
    parts = [known[PLACE].assign(frequency=f, power=100.0) for f in (0.1, 0.2, 0.3)]
    return pd.concat(parts)[SPECTRUM_COLUMNS]


def draw_lesions(frames, tmp_path):
    for name, frame in frames.items():
        for folder, table in (("bench", frame), ("spectra", spectra_of(frame))):
            path = tmp_path / folder / f"{name}.parquet"
            path.parent.mkdir(exist_ok=True)
            table.to_parquet(path)
    protocol = tmp_path / "p.yaml"
    write_text(
        protocol,
        "name: p\nwindow: [-160, 240]\nclip: true\ndata_range: 1.0\n"
        "ssim: {kind: uniform, size: 7}\naveraging: mean_of_slices\n",
    )
    arguments = ["draw-lesion-bench", "--measured", *sorted((tmp_path / "bench").iterdir())]
    arguments += ["--spectra", *sorted((tmp_path / "spectra").iterdir())]
    arguments += ["--titles", json.dumps(TITLES), "--note", NOTE, "--protocol", protocol]
    arguments += ["--scaling", '{"window": [-160, 240], "clip": true}', "--statistics", STATISTICS]
    arguments += ["--tables", tmp_path / "tables/l", "--figure", tmp_path / "figures/l"]
    assert main(list(map(str, arguments))) == 0
    return (tmp_path / "tables/l.md").read_text()


def test_lesion_report_gives_means_intervals_and_reasons(tmp_path):
    frames = {name: lesion_frame(name, shift) for shift, (name, _) in enumerate(TITLES)}
    text = draw_lesions(frames, tmp_path)
    assert re.search(r"\| LDCT \| 4\.25 \\\[[\d.]+, [\d.]+\\\] \| 0\.900", text)
    assert "lesion too small for an edge (6)" in text
    assert "6 slices of 1 lesion of 1 patient; they say nothing of other patients." in text
    assert NOTE in text
    assert "outside that window" not in text
    assert "Brackets: 90 % intervals" in text
    assert set(pd.read_csv(tmp_path / "tables/l.csv")["confidence"].dropna()) == {0.9}
    assert matplotlib.image.imread(tmp_path / "figures/l.png").shape[1] > 2000
    assert (tmp_path / "figures/l.png.provenance.json").is_file()
    assert (tmp_path / "figures/l.pdf.provenance.json").is_file()


def test_figure_has_a_panel_of_noise_power_for_each_method_that_has_some(tmp_path):
    plain = {name: lesion_frame(name) for name, _ in TITLES}
    draw_lesions(plain, tmp_path)
    without = matplotlib.image.imread(tmp_path / "figures/l.png").shape
    noisy = {name: lesion_frame(name, mean_frequency=0.2) for name in ("ldct", "keen", "blind")}
    text = draw_lesions(plain | noisy, tmp_path)
    assert re.search(r"\| Blind \|.*\| 0\.200 ", text)
    shape = matplotlib.image.imread(tmp_path / "figures/l.png").shape
    assert shape[0] > without[0] + 300  # a row of panels
    assert shape[1] == without[1]
    record = json.loads((tmp_path / "figures/l.png.provenance.json").read_text())
    assert any(path.endswith("spectra/keen.parquet") for path in record["inputs"])


def test_every_column_says_of_how_many_slices_and_lesions_it_is(tmp_path):
    """CNR of one lesion alone, edges that one method lost in two slices."""
    frames = {}
    for name, _ in TITLES:
        other = lesion_frame(name, lesion="2", cnr=np.nan, contrast_retention=np.nan).iloc[:4]
        frames[name] = pd.concat([lesion_frame(name, edge_width_mm=1.5), other])
    frames["blind"] = frames["blind"].reset_index(drop=True)
    frames["blind"].loc[:1, "edge_width_mm"] = np.nan
    text = draw_lesions(frames, tmp_path)
    assert "| n slices / n lesions | 6 / 1 | 6 / 1 | 6 / 1 | 0 / 0 | 0 / 0 | 10 / 2 |" in text
    assert text.count("without an edge") == 1
    assert re.search(r"\| Blind \|.*\| 1\.50 [^|]*\(2 without an edge\) \|", text)
    values = pd.read_csv(tmp_path / "tables/l.csv").set_index(["method", "measure"])
    assert values.loc[("blind", "edge_width_mm"), ["n_slices", "n_failed"]].tolist() == [4, 2]
    assert values.loc[("keen", "edge_width_mm"), ["n_slices", "n_failed"]].tolist() == [6, 0]
    assert values.loc[("ndct", "crop_psnr"), "n_lesions"] == 2


def test_lesions_outside_the_window_are_named(tmp_path):
    note = "background outside the window [-160, 240] HU: contrast is to its bound"
    frames = {name: lesion_frame(name, outside_window=1.0, note=note) for name, _ in TITLES}
    text = draw_lesions(frames, tmp_path)
    assert "6 of 6 lesion slices have a background outside that window" in text
    assert "Not measured" not in text


def test_test_set_without_lesions_has_a_report_that_says_so(tmp_path):
    frames = {name: lesion_frame(name).iloc[:0] for name, _ in TITLES}
    text = draw_lesions(frames, tmp_path)
    assert "No annotated lesion lies in the test slices." in text
    assert (tmp_path / "figures/l.pdf").is_file()


@pytest.mark.parametrize(
    ("value", "text"), [(-0.001, "0.00"), (-1.256, "−1.26"), (np.nan, "–"), (np.inf, "∞")]
)
def test_numbers_are_written_for_people(value, text):
    assert number(value, 2) == text


def test_bounds_are_left_out_where_there_are_none():
    assert with_bounds(1.0, np.nan, np.nan, 1) == "1.0"
    assert with_bounds(1.0, 0.5, 1.5, 1) == "1.0 [0.5, 1.5]"
