"""Figures: what they show is true to the data, and the files are fit for a journal."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from made_up_volumes import write_doses
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text
from sample_networks import DilatedResidual, PoolAndGrow
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torch import nn
from training_inputs import METHODS

from ldct.cli import main
from ldct.common.files import read_json
from ldct.configuration.registry import find_methods
from ldct.configuration.stages import resolve_models
from ldct.figures.cascade import draw_cascade, loss_text
from ldct.figures.comparison import draw_comparison
from ldct.figures.network import draw_network
from ldct.lesions.panels import lesion_roi, lesion_rows, render_lesion_panels
from ldct.lesions.places import largest_lesion
from ldct.metrics.protocol import load_protocol
from ldct.rendering import figure_style as fs
from ldct.rendering.slices import score_text

ROOT = Path(__file__).parents[2]
SIZE = 96
MODELS, _ = resolve_models(["drl", "lsgan"], find_methods([METHODS]), {"steps": 4}, 64)


@pytest.fixture
def figures(monkeypatch):
    """Every figure that is saved, to look for text that leaves it or overlaps."""
    kept = []
    save = fs.save_figure
    monkeypatch.setattr(fs, "save_figure", lambda f, *a, **k: kept.append(f) or save(f, *a, **k))
    return kept


def assert_fit_for_print(figure, stem: Path) -> None:
    """Size, resolution, embedded fonts, readable and complete text, no date."""
    width, height = figure.get_size_inches()
    png = stem.with_name(stem.name + ".png").read_bytes()
    pixels = [int.from_bytes(png[start : start + 4], "big") for start in (16, 20)]
    assert pixels == [pytest.approx(width * 300, abs=1), pytest.approx(height * 300, abs=1)]
    pdf = stem.with_name(stem.name + ".pdf").read_bytes()
    assert b"/FontFile2" in pdf
    assert b"/Type3" not in pdf
    assert b"CreationDate" not in pdf
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    texts = [t for t in figure.findobj(Text) if t.get_text().strip() and t.get_visible()]
    boxes = [t.get_window_extent(canvas.get_renderer()) for t in texts]
    assert all(t.get_fontsize() >= 6 for t in texts)
    for text, box in zip(texts, boxes, strict=True):
        inside = box.x0 >= 0 and box.y0 >= 0
        inside &= box.x1 <= figure.bbox.width and box.y1 <= figure.bbox.height
        assert inside, f"{text.get_text()!r} leaves the figure"
    for i, box in enumerate(boxes):
        for other, text in zip(boxes[:i], texts, strict=False):
            assert not box.padded(-2).overlaps(other), f"{texts[i].get_text()!r} on {text!r}"


def test_network_diagram(tmp_path, figures):
    draw_network(DilatedResidual(), "DRL", tmp_path / "drl")
    assert_fit_for_print(figures[0], tmp_path / "drl")
    assert figures[0].get_size_inches()[0] == pytest.approx(7.16)
    texts = {t.get_text() for t in figures[0].axes[0].texts}
    assert "224,971 trainable parameters  ·  receptive field 37 × 37 pixels" in texts
    assert "3×3 conv, d = 4\n64 → 64" in texts
    record = read_json(tmp_path / "drl.png.provenance.json")
    assert record["settings"]["parameters"] == 224_971


def test_any_network_can_be_drawn(tmp_path, figures):
    draw_network(PoolAndGrow(), "small", tmp_path / "small")
    draw_network(nn.Sequential(*[nn.Conv2d(1, 1, 3) for _ in range(20)]), "deep", tmp_path / "deep")
    for figure, name in zip(figures, ("small", "deep"), strict=True):
        assert_fit_for_print(figure, tmp_path / name)


def stage(target: str) -> dict:
    return {**MODELS["drl"], "title": "DRL", "target": target}


LSGAN = {**MODELS["lsgan"], "title": "LSGAN"}


@pytest.mark.parametrize(
    "stages",
    [[stage("image")], [LSGAN, *[stage("residual")] * 2, stage("image")]],
)
def test_cascade_diagram_for_any_number_of_levels(tmp_path, figures, stages):
    draw_cascade("Cascade", stages, tmp_path / "cascade")
    assert_fit_for_print(figures[0], tmp_path / "cascade")
    texts = "\n".join(t.get_text() for t in figures[0].axes[0].texts)
    assert len(re.findall(r"Level \d", texts)) == len(stages)
    assert texts.count(r"\hat{\mathbf{r}}") == sum(s["target"] == "residual" for s in stages)
    assert ("discriminator" in texts) == (stages[0] is LSGAN)
    assert r"$\mathbf{Y}_{final}$" in texts


def test_residual_level_is_labelled_with_its_input_minus_ndct(tmp_path, figures):
    draw_cascade("Proposed", [LSGAN, stage("residual")], tmp_path / "cascade")
    assert_fit_for_print(figures[0], tmp_path / "cascade")
    texts = [" ".join(t.get_text().split()) for t in figures[0].axes[0].texts]
    assert "label $\\mathbf{Y}_P^{(1)} - \\mathbf{Y}$" in texts
    assert "loss 100 MAE + 0.2 adversarial" in texts
    assert any("given X" in text for text in texts)


def test_loss_text_reads_as_a_sum():
    loss = {"mse": 1.0, "perceptual": {"weight": 0.1, "features": "vgg16"}}
    assert loss_text(loss) == "MSE + 0.1 perceptual"
    matched = {"mse": 1.0, "perceptual": {"weight": {"match_gradient": 0.1}}}
    assert loss_text(matched) == "MSE + λ perceptual"


def write_case(folder: Path, slice_index=(4, 8, 9, 20)) -> tuple[Path, dict[str, Path]]:
    """A test-set folder with some of a volume's slices, and two predictions."""
    rng = np.random.default_rng(0)
    full = rng.normal(40, 10, (len(slice_index), SIZE, SIZE)).astype(np.int16)
    quarter = full + rng.normal(0, 30, full.shape).astype(np.int16)
    place = {"slice_index": slice_index, "z_mm": [-50 + 2.0 * i for i in slice_index]}
    place |= {"origin_mm": [-30.0, -20.0], "pixel_mm": [0.5, 0.8], "thickness_mm": 3.0}
    write_doses(folder, full, quarter, **place)
    predictions = {}
    for title, share in (("DRL", 0.3), ("BM3D (measured noise spectrum)", 0.5)):
        predictions[title] = folder.parent / f"{title[:4]}.npy"
        np.save(predictions[title], (full + share * (quarter - full)).astype(np.float32))
    return folder, predictions


LESIONS = """patient,lesion,z_mm,x_mm,y_mm,diameter_mm,label,source
L109,1,-34,10,4,12,,
L109,1,-32.2,10,4,10,,
L109,1,-30,10,4,10,,
L109,2,-10,46.8,27.5,5,,
L506,1,-34,10,4,12,,
"""


@pytest.fixture
def protocol():
    return load_protocol(ROOT / "config" / "protocols" / "abdomen.yaml")


def test_comparison(tmp_path, figures):
    folder, predictions = write_case(tmp_path / "L109")
    scores = {"LDCT": {"psnr": 25.42, "ssim": 0.821}, "DRL": {"psnr": 29.0, "ssim": 0.9}}
    context = "simulated quarter dose on LIDC-IDRI-0001, quick budget, " + "a long remark " * 8
    arguments = (folder, predictions, 1, (10, 50, 20, 80), (-160, 240), scores, context)
    draw_comparison(*arguments, tmp_path / "a")
    draw_comparison(*arguments, tmp_path / "b")
    assert_fit_for_print(figures[0], tmp_path / "a")
    for suffix in (".png", ".pdf"):
        first, second = ((tmp_path / (name + suffix)).read_bytes() for name in "ab")
        assert first == second
    images = [axes.images[0] for axes in figures[0].axes if axes.images]
    full = np.load(folder / "full.npy")[1]
    np.testing.assert_array_equal(images[-3].get_array(), full)
    np.testing.assert_array_equal(images[-2].get_array(), full[10:50, 20:80])
    assert all(i.get_clim() == (-160, 240) for i in images if i.get_cmap().name == "gray")
    low, high = images[-1].get_clim()
    assert low == -high
    labels = [axes.get_xlabel() for axes in figures[0].axes]
    assert "25.42 dB / 0.821" in labels
    footer = " ".join(figures[0].texts[0].get_text().split())
    assert "simulated quarter dose on LIDC-IDRI-0001" in footer
    assert "L109, z = −34.0 mm · window [−160, 240] HU" in footer


NO_LESIONS = "patient,lesion,z_mm,x_mm,y_mm,diameter_mm,label,source\n"


@pytest.mark.parametrize(
    ("lesions", "said"),
    [
        (LESIONS, "largest annotated lesion"),
        (NO_LESIONS, "no annotated lesion in the test slices: the middle of the first patient"),
        (LESIONS.replace("L109", "L333"), "no annotated lesion in the test slices"),
    ],
)
def test_fig_3_says_what_it_shows(tmp_path, figures, lesions, said):
    folder, _ = write_case(tmp_path / "L109")
    quarter = np.load(folder / "quarter.npy")
    quarter[2] = np.load(folder / "full.npy")[2]  # the middle slice, and that of the lesion
    np.save(folder / "quarter.npy", quarter)
    (tmp_path / "lesions.csv").write_text(lesions)
    protocol = ROOT / "config/protocols/abdomen.yaml"
    options = ["--test-folders", folder, "--predictions", "--titles", "[]", "--protocol", protocol]
    options += ["--note", "made up", "--lesions", tmp_path / "lesions.csv"]
    assert main(["draw-comparison", *map(str, options), "--output", str(tmp_path / "a")]) == 0
    footer = " ".join(figures[0].texts[0].get_text().split())
    z_mm, score = (
        ("−34.0", r"\d\d\.\d\d dB / 0\.\d{3}") if "no " in said else ("−32.0", "doses equal")
    )
    assert said in footer and f"z = {z_mm} mm" in footer
    labels = [axes.get_xlabel() for axes in figures[0].axes if axes.get_xlabel()]
    assert re.fullmatch(score, labels[0])


def test_equal_doses_have_no_score_in_a_figure():
    nothing = dict.fromkeys(("psnr", "ssim"), float("nan"))
    assert score_text(nothing) == "doses equal"
    assert score_text({"psnr": np.inf, "ssim": 1.0}) == "∞ dB / 1.000"
    assert score_text(None) == ""


def test_every_lesion_slice_of_the_test_set_has_a_panel(tmp_path, figures, protocol):
    case = write_case(tmp_path / "L109")
    (tmp_path / "lesions.csv").write_text(LESIONS)
    output = tmp_path / "panels"
    render_lesion_panels([case], tmp_path / "lesions.csv", protocol, "synthetic", output)
    stems = ["L109_1_0008", "L109_1_0009", "L109_2_0020"]
    assert sorted(p.stem for p in output.glob("*.png")) == stems
    assert sorted(p.stem for p in output.glob("*.pdf")) == stems
    page = (output / "index.html").read_text()
    assert all(f'src="{stem}.png"' in page for stem in stems)
    for figure, stem in zip(figures, stems, strict=True):
        assert_fit_for_print(figure, output / stem)
    table = pd.read_csv(output / "lesions.csv")
    assert list(table.groupby("panel").size()) == [3, 3, 3]  # LDCT and two methods
    row = table[(table.panel == "L109_1_0009") & (table.method == "DRL")].iloc[0]
    # Centre: row (4 + 20) / 0.5 = 48, column (10 + 30) / 0.8 = 50; 64 pixels around it.
    crop = np.s_[16:80, 18:82]
    truth, image = (
        np.clip((np.load(path)[2][crop].astype(float) + 160) / 400, 0, 1)
        for path in (case[0] / "full.npy", case[1]["DRL"])
    )
    expected = peak_signal_noise_ratio(truth, image, data_range=1)
    assert row.psnr == pytest.approx(expected, abs=1e-4)
    expected = structural_similarity(truth, image, data_range=1)
    assert row.ssim == pytest.approx(expected, abs=1e-4)
    circle = figures[1].axes[0].patches[0]
    assert circle.center == pytest.approx((50 - 18, 48 - 16))


def test_test_set_without_lesions_gives_an_empty_index(tmp_path, protocol):
    case = write_case(tmp_path / "L109", slice_index=(0, 1))
    (tmp_path / "lesions.csv").write_text(LESIONS)
    render_lesion_panels([case], tmp_path / "lesions.csv", protocol, "<b>", tmp_path / "out")
    page = (tmp_path / "out" / "index.html").read_text()
    assert "No annotated lesion" in page
    assert "<b>" not in page
    assert len(pd.read_csv(tmp_path / "out" / "lesions.csv")) == 0


def test_lesion_of_a_slice_left_out_is_not_shown_on_a_neighbour():
    info = {"patient": "L1", "slice_index": [0, 10, 20], "z_mm": [0.0, 20.0, 40.0]}
    lesions = pd.DataFrame({"patient": "L1", "lesion": "1", "z_mm": [18.9, 19.0, 24.0]})
    rows = lesion_rows(lesions, info | {"thickness_mm": 3.0})
    assert [(lesion["z_mm"], row) for lesion, row in rows] == [(19.0, 1)]


def test_figure_shows_the_middle_slice_of_the_largest_lesion(tmp_path):
    (tmp_path / "lesions.csv").write_text(LESIONS.replace("-30,10,4,10", "-32,10,4,10"))
    info = {"patient": "L109", "slice_index": [6, 7, 8, 9, 10], "thickness_mm": 2.0}
    info["z_mm"] = [-38.0, -36.0, -34.0, -32.0, -30.0]
    lesion, row = largest_lesion(tmp_path / "lesions.csv", [info | {"patient": "L1"}, info])
    assert (lesion["lesion"], row) == ("1", 3)
    assert largest_lesion(tmp_path / "lesions.csv", [info | {"patient": "L1"}]) is None


@pytest.mark.parametrize(
    ("diameter", "x_mm", "expected"),
    [(10, 100, (68, 132, 68, 132)), (40, 100, (40, 160, 40, 160)), (10, 2, (68, 132, 0, 64))],
)
def test_crop_is_64_pixels_or_three_diameters_inside_the_image(diameter, x_mm, expected):
    info = {"origin_mm": [0.0, 0.0], "pixel_mm": [1.0, 1.0]}
    lesion = {"x_mm": x_mm, "y_mm": 100.0, "z_mm": 0.0, "diameter_mm": diameter}
    assert lesion_roi(lesion, info, (200, 200)) == expected
