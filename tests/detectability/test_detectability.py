"""d' of inserted discs: pairs of crops, intervals over places and seeds, table and figure."""

import json

import matplotlib.image
import numpy as np
import pandas as pd
import pytest
from made_up_volumes import write_doses
from scipy import stats

from ldct.cli import main
from ldct.common.errors import InputError
from ldct.common.files import write_json
from ldct.detectability import observers
from ldct.detectability.detection import (
    COLUMNS,
    mean_over_seeds,
    pair_of,
    paired_interval,
    write_detectability,
)
from ldct.detectability.table import detectability_summary

SITES, CROP, CONTRAST, DIAMETERS = 24, 32, -60, [4, 6]
TITLES = [["ndct", "NDCT"], ["ldct", "LDCT"], ["keen", "Keen & sharp"], ["blind", "Blind"]]
NOTE = "simulated dose on a phantom; 2 steps"


@pytest.fixture
def discs(tmp_path):
    """Folder of discs in white noise, written out, and predictions of two methods."""
    rng = np.random.default_rng(0)
    axis = np.arange(CROP) - CROP // 2
    radius = np.hypot(axis[:, None], axis)
    crops, clean = [], []
    for site in range(SITES):
        ground = 60 + rng.normal(0, 8, (CROP, CROP))
        for diameter in (None, *DIAMETERS):
            crops.append({"site": site, "diameter_mm": diameter})
            clean.append(ground + CONTRAST * (radius <= (diameter or -1) / 2))
    noise = np.repeat(rng.normal(0, 30, (SITES, CROP, CROP)), 1 + len(DIAMETERS), axis=0)
    full = np.rint(clean)
    folder = write_doses(tmp_path / "test/discs", full, np.rint(clean + noise))
    content = {"patient": "P1", "pixel_mm": [1.0, 1.0], "contrast_hu": CONTRAST}
    content |= {"diameters_mm": DIAMETERS, "crops": crops, "problem": None}
    content |= {"sites": [{"slice_index": site // 3} for site in range(SITES)]}
    write_json(folder / "discs.json", content | {"dose": {"noise_ratio": 2.0}})
    for method, images in {"keen": full + 0.3 * noise, "blind": noise}.items():
        path = tmp_path / f"predictions/{method}/0/discs.npy"
        path.parent.mkdir(parents=True)
        np.save(path, images.astype(np.float32))
    return folder


def predictions(folder):
    return sorted((folder.parents[1] / "predictions").rglob("discs.npy"))


def test_d_prime_of_every_method_and_disc(discs, tmp_path):
    write_detectability(discs, predictions(discs), tmp_path / "out")
    frames = {path.parent.name: pd.read_parquet(path) for path in tmp_path.glob("out/*/*.parquet")}
    assert set(frames) == {"ndct", "ldct", "keen", "blind"}
    for frame in frames.values():
        assert list(frame.columns) == COLUMNS
        assert frame["diameter_mm"].tolist() == DIAMETERS
        assert (frame["n_signals"] == SITES).all()
        assert (frame["lower"] <= frame["d_prime"]).all()
        assert (frame["d_prime"] <= frame["upper"]).all()
    d_prime = {name: frame["d_prime"] for name, frame in frames.items()}
    assert (d_prime["ndct"] > d_prime["keen"]).all()
    assert (d_prime["keen"] > d_prime["ldct"]).all()
    # Noise alone: identical with and without disc.
    np.testing.assert_allclose(d_prime["blind"], 0, atol=1e-6)
    np.testing.assert_array_equal(frames["ldct"]["change"], 0)
    own, low = (frames[name].iloc[:1] for name in ("keen", "ldct"))
    paired = paired_interval(own, low)
    np.testing.assert_allclose(paired.numbers, own[["change", "change_lower", "change_upper"]].T[0])
    assert paired_interval(frames["keen"], frames["ldct"]).estimate == pytest.approx(
        frames["keen"]["change"].mean()
    )


def test_pairs_belong_to_the_same_site_in_any_order_of_the_crops(discs):
    content = json.loads((discs / "discs.json").read_text())
    index = np.arange(len(content["crops"]))
    absent, present = pair_of(index, content, DIAMETERS[1])
    np.testing.assert_array_equal(absent, 3 * np.arange(SITES))
    np.testing.assert_array_equal(present, absent + 2)
    order = np.random.default_rng(1).permutation(index)
    mixed = {**content, "crops": [content["crops"][place] for place in order]}
    np.testing.assert_array_equal(pair_of(index[order], mixed, DIAMETERS[1]), (absent, present))


def test_prediction_of_another_shape_is_refused(discs):
    np.save(predictions(discs)[0], np.zeros((3, CROP, CROP)))
    with pytest.raises(InputError, match="predict this test set again"):
        write_detectability(discs, predictions(discs), discs / "out")


def draw(discs, tmp_path):
    statistics = ["--statistics", '{"confidence": 0.9}']
    arguments = ["detectability", "--discs", discs, "--predictions", *predictions(discs)]
    assert main([*map(str, arguments), *statistics, "--output", str(tmp_path / "out")]) == 0
    measured = sorted((tmp_path / "out").rglob("*.parquet"))
    arguments = ["draw-detectability", "--measured", *measured, "--titles", json.dumps(TITLES)]
    arguments += ["--note", NOTE, "--credit", "Credit & thanks.", "--discs", discs / "discs.json"]
    arguments += [*statistics, "--tables", tmp_path / "tables/d", "--figure", tmp_path / "d"]
    assert main(list(map(str, arguments))) == 0
    return (tmp_path / "tables/d.md").read_text()


def test_report_names_data_dose_scope_and_confidence(discs, tmp_path):
    text = draw(discs, tmp_path)
    for part in (NOTE, "P1, at 24 flat places in 8 slices", "quarter dose is simulated"):
        assert part in text
    assert "90 % intervals over places of one patient, one training seed" in text
    page = (tmp_path / "tables/d.html").read_text()
    assert "Keen &amp; sharp" in page and "Credit &amp; thanks." in page
    assert len(pd.read_csv(tmp_path / "tables/d.csv")) == len(TITLES) * len(DIAMETERS)
    picture = matplotlib.image.imread(tmp_path / "d.png")
    assert picture.shape[1] == pytest.approx(7.16 * 300, abs=1)
    record = json.loads((tmp_path / "d.pdf.provenance.json").read_text())
    assert any(path.endswith("keen/0.parquet") for path in record["inputs"])


def test_without_discs_the_report_says_why(discs, tmp_path):
    content = json.loads((discs / "discs.json").read_text())
    content |= {"diameters_mm": [], "crops": [], "sites": [], "problem": "no flat soft tissue"}
    write_json(discs / "discs.json", content)
    assert "No discs were inserted: no flat soft tissue." in draw(discs, tmp_path)
    assert (tmp_path / "d.png").is_file()


def rows(d_prime, at_sites, method="learned", diameters=(8.0,), seeds=None):
    """Rows of seeds with these d'; `at_sites` is what single sites add to it, mean 0."""
    seeds = range(len(d_prime)) if seeds is None else seeds
    return pd.DataFrame(
        [
            {
                "method": method,
                "seed": seed,
                "patient": "P1",
                "contrast_hu": -10.0,
                "diameter_mm": diameter,
                "d_prime": value,
                "n_signals": len(at_sites),
                "leave_one_out": value - at_sites / (len(at_sites) - 1),
            }
            for seed, value in zip(seeds, d_prime, strict=True)
            for diameter in diameters
        ]
    )


@pytest.fixture
def at_sites():
    values = np.random.default_rng(0).normal(0, 0.4, 40)
    return values - values.mean()


def test_seeds_that_differ_widen_the_interval_of_a_change(at_sites):
    """The same mean of three seeds, once alike, once far apart."""
    low = rows([2.0], 0 * at_sites, "ldct")
    one, alike, apart = (
        paired_interval(rows(np.add(2, changes), at_sites), low)
        for changes in ([0.3], [0.3, 0.3, 0.3], [-0.7, 0.3, 1.3])
    )
    of_sites = at_sites.std(ddof=1) / np.sqrt(40)
    for found in (one, alike):
        assert found.std_error == pytest.approx(of_sites)
        assert found.df == pytest.approx(39)
    assert apart.estimate == pytest.approx(alike.estimate) == pytest.approx(0.3)
    assert apart.std_error == pytest.approx(np.hypot(of_sites, 1 / np.sqrt(3)))
    assert apart.df == pytest.approx(2, abs=0.1)
    reach = stats.t.ppf(0.975, apart.df) * apart.std_error
    assert (apart.lower, apart.upper) == pytest.approx((0.3 - reach, 0.3 + reach))
    assert [found.n_seeds for found in (one, alike, apart)] == [1, 3, 3]


def test_interval_of_one_seed_covers_the_truth_as_often_as_it_says():
    rng, mean = np.random.default_rng(7), np.array([1.2, 0.8, 0.0, 0.0, 0.0])
    covered = []
    for _ in range(100):
        absent = rng.normal(size=(30, 5))
        noise = 0.1 * rng.normal(size=(30, 5))
        d_prime, without = observers.detectability(absent, absent + mean + noise)
        found = mean_over_seeds(rows([d_prime], without).assign(leave_one_out=[without]))
        covered.append(found.lower <= np.linalg.norm(mean) <= found.upper)
    assert 0.9 <= np.mean(covered) <= 0.99


def test_interval_of_three_seeds_covers_the_mean_of_all_seeds():
    rng, truth = np.random.default_rng(1), 1.5
    covered = []
    for _ in range(200):
        sites = rng.normal(0, 0.5, 40)
        seeds = rng.normal(truth, 0.25, 3) + sites.mean()
        found = mean_over_seeds(rows(seeds, sites - sites.mean()))
        covered.append(found.lower <= truth <= found.upper)
    assert 0.92 <= np.mean(covered) <= 0.99


def test_methods_with_the_same_seeds_are_paired_by_seed_and_others_refused(at_sites):
    """What a seed does to both methods alike is no doubt about their difference."""
    of_seeds = np.array([-1.0, 0.2, 0.8])
    cascade, first_level = rows(2.5 + of_seeds, at_sites), rows(2 + of_seeds, 0 * at_sites)
    found = paired_interval(cascade, first_level.sample(frac=1, random_state=0))
    assert found.estimate == pytest.approx(0.5)
    assert found.std_error == pytest.approx(at_sites.std(ddof=1) / np.sqrt(40))
    other = rows([2.0, 2.1], at_sites, seeds=[3, 4])
    with pytest.raises(InputError, match=r"learned minus learned: found seeds \[0, 1, 2\] and \[3"):
        paired_interval(cascade, other)


def test_discs_of_one_seed_are_averaged_and_those_without_a_value_left_out(at_sites):
    """Four discs of a training are no four trainings."""
    several = rows([1.7, 2.0, 2.6], at_sites, diameters=(3.0, 4.0, 5.0, 6.0))
    expected = mean_over_seeds(rows([1.7, 2.0, 2.6], at_sites)).numbers
    assert mean_over_seeds(several).numbers == pytest.approx(expected)
    several.loc[0, "d_prime"] = np.nan
    several.at[0, "leave_one_out"] = np.full(40, np.nan)
    assert mean_over_seeds(several).numbers == pytest.approx(expected)
    assert np.isnan(mean_over_seeds(several[several["diameter_mm"] == 3]).estimate)


def test_summary_has_intervals_over_seeds_and_asks_for_the_low_dose(at_sites):
    values = {"ldct": [2.0], "learned": [1.3, 2.3, 3.3], "classical": [2.3]}
    frame = pd.concat([rows(found, at_sites, method) for method, found in values.items()])
    titles = {name: name for name in values}
    table = detectability_summary(frame, titles, 0.9).set_index("method")
    learned, classical = table.loc["learned"], table.loc["classical"]
    assert learned["change"] == pytest.approx(classical["change"])
    assert classical["change_lower"] == pytest.approx(0.3)  # the same noise at every site
    assert learned["change_upper"] - learned["change_lower"] > 3
    reach = stats.t.ppf(0.95, 39) * at_sites.std(ddof=1) / np.sqrt(40)
    assert classical["upper"] - classical["d_prime"] == pytest.approx(reach)
    assert table["n_seeds"].to_dict() == {"ldct": 1, "learned": 3, "classical": 1}
    with pytest.raises(InputError, match=r"add detectability/ldct/fixed\.parquet"):
        detectability_summary(frame[frame["method"] != "ldct"], titles)
