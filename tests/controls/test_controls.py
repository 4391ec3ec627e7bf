"""Controls: what each prediction is, their place in a run, and what they say of the metrics."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from scipy.ndimage import gaussian_filter
from skimage.metrics import peak_signal_noise_ratio
from workflow_runs import REPOSITORY

from ldct.common.errors import InputError
from ldct.common.files import read_json
from ldct.common.run_files import FIXED
from ldct.configuration.registry import read_card
from ldct.configuration.resolve import resolve_run
from ldct.controls.blur import fine_noise_hu
from ldct.controls.predict import control_slice, denoise_control
from ldct.controls.table import check_scores, write_controls
from ldct.denoising.classical import load_denoiser, tune_classical
from ldct.method_check.pair import synthetic_pair, write_pair

DEFAULT = yaml.safe_load((REPOSITORY / "config/config.yaml").read_text(encoding="utf-8"))
FULL = yaml.safe_load((REPOSITORY / "config/full.yaml").read_text(encoding="utf-8"))
CONTROLS = FULL["controls"]


def folder(name: str) -> Path:
    return REPOSITORY / "methods" / name


def parameters_of(name: str, work: Path) -> dict:
    volume = work / "L000"
    if not volume.exists():
        write_pair(volume, slices=4, shape=(128, 128))
    settings = read_card(folder(name))["settings"] if name != "control_oracle" else {}
    tune_classical(folder(name), settings, [volume], work / f"{name}.json")
    return read_json(work / f"{name}.json")


def smooth_pair() -> tuple[np.ndarray, np.ndarray]:
    """NDCT and LDCT of soft tissue without sharp edges, int16 HU."""
    rng = np.random.default_rng(0)
    clean = 40 + 400 * gaussian_filter(rng.standard_normal((3, 96, 96)), (0, 4, 4))
    ndct = clean + rng.normal(0, 5, clean.shape)
    return ndct.astype(np.int16), (ndct + rng.normal(0, 20, clean.shape)).astype(np.int16)


def predict(name: str, work: Path, slices: int = 4) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Prediction, NDCT and LDCT of a synthetic patient."""
    parameters = {} if name == "control_shuffled" else parameters_of(name, work)
    ndct, low_dose = synthetic_pair(slices, (128, 128))
    module = load_denoiser(folder(name))
    images = [control_slice(module, low_dose, ndct, i, parameters) for i in range(slices)]
    return np.stack(images), ndct, low_dose


def psnr(image: np.ndarray, ndct: np.ndarray) -> float:
    unit = [np.clip((each.astype(float) + 160) / 400, 0, 1) for each in (ndct, image)]
    return peak_signal_noise_ratio(*unit, data_range=1)


def test_oracle_is_ndct_and_shift_is_20_hu(tmp_path):
    image, ndct, _ = predict("control_oracle", tmp_path)
    np.testing.assert_array_equal(image, ndct)
    image, _, low_dose = predict("control_shift_20", tmp_path)
    np.testing.assert_array_equal(image - low_dose, 20)


@pytest.mark.parametrize("slices", [2, 5])
def test_shuffled_slices_are_a_permutation_that_leaves_none_in_place(tmp_path, slices):
    image, _, low_dose = predict("control_shuffled", tmp_path, slices)
    sources = [
        next(k for k in range(slices) if np.array_equal(each, low_dose[k])) for each in image
    ]
    assert sorted(sources) == list(range(slices))
    assert all(source != place for place, source in enumerate(sources))
    image, _, low_dose = predict("control_shuffled", tmp_path, 1)  # a single slice is turned
    np.testing.assert_array_equal(image[0], np.rot90(low_dose[0], 2))


def test_tuned_blur_gains_psnr_and_invented_noise_loses_it(tmp_path):
    ndct, low_dose = smooth_pair()
    write_pair(tmp_path / "L000", slices=3, shape=(96, 96))
    np.save(tmp_path / "L000/full.npy", ndct)
    np.save(tmp_path / "L000/quarter.npy", low_dose)
    found = {}
    for name in ("control_blur", "control_blur_noise"):
        parameters = parameters_of(name, tmp_path)
        image = control_slice(load_denoiser(folder(name)), low_dose, ndct, 0, parameters)
        found[name] = psnr(image, ndct[0])
    assert found["control_blur"] > psnr(low_dose[0], ndct[0]) + 3
    assert found["control_blur_noise"] < found["control_blur"] - 1


def test_blur_and_noise_has_the_noise_level_of_ndct(tmp_path):
    rng = np.random.default_rng(0)
    edge = np.where(np.arange(128) < 64, 50.0, -900.0) + np.zeros((128, 1))
    assert fine_noise_hu(edge + rng.normal(0, 10, edge.shape), edge) == pytest.approx(10, rel=0.05)
    image, ndct, low_dose = predict("control_blur_noise", tmp_path)
    wanted = fine_noise_hu(ndct[0], ndct[0])
    assert fine_noise_hu(low_dose[0], ndct[0]) > 1.5 * wanted
    assert fine_noise_hu(image[0], ndct[0]) == pytest.approx(wanted, rel=0.1)
    again, _, _ = predict("control_blur_noise", tmp_path)
    np.testing.assert_array_equal(image, again)
    assert not np.array_equal(image[0] - image[1], np.zeros_like(image[0]))


def test_prediction_file_has_a_record_and_the_shape_of_the_test_set(tmp_path):
    test = write_pair(tmp_path / "L1", slices=2, shape=(70, 64))
    (tmp_path / "parameters.json").write_text('{"shift_hu": 20.0}')
    output = tmp_path / "out/L1.npy"
    denoise_control(folder("control_shift_20"), tmp_path / "parameters.json", test, output)
    found = np.load(output)
    assert found.dtype == np.float32 and found.shape == (2, 70, 64)
    record = read_json(output.with_name("L1.npy.provenance.json"))
    assert any(name.endswith("full.npy") for name in record["inputs"])


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("return ndct[index][1:]", r"denoise\.py: slice 0: denoise returned shape \(69, 64\)"),
        ("return ndct[index] * float('nan')", r"denoise\.py: slice 0: denoise returned NaN"),
    ],
)
def test_a_wrong_control_is_named(tmp_path, code, words):
    (tmp_path / "mine").mkdir()
    text = f"def denoise(low_dose, ndct, index, parameters):\n    {code}\n"
    (tmp_path / "mine/denoise.py").write_text(text)
    ndct, low_dose = synthetic_pair(1, (70, 64))
    with pytest.raises(InputError, match=words):
        control_slice(load_denoiser(tmp_path / "mine"), low_dose, ndct, 0, {})


def test_controls_have_cards_and_seeds_but_no_row_of_the_table():
    known = [path.parent.name for path in (REPOSITORY / "methods").glob("control_*/method.yaml")]
    run = resolve_run(DEFAULT | {"controls": CONTROLS}, REPOSITORY)
    assert sorted(known) == sorted(CONTROLS)
    assert run["controls"] == CONTROLS == list(run["control_cards"])
    assert not set(CONTROLS) & set(run["cards"])
    assert all(run["method_seeds"][name] == [FIXED] for name in CONTROLS)
    assert all(run["folders"][name].endswith(f"methods/{name}") for name in CONTROLS)


def test_a_control_is_no_method_and_a_method_no_control():
    names = {"methods": ["low_dose", "control_blur"], "controls": ["drl", "control_oracle"]}
    run = resolve_run(DEFAULT | names, REPOSITORY)
    assert "name it under 'controls'" in run["broken"]["control_blur"]
    assert "name it under 'methods'" in run["broken"]["drl"]
    assert run["controls"] == ["control_oracle"]
    with pytest.raises(InputError, match="key 'controls': unknown method 'control_blurr'"):
        resolve_run(DEFAULT | {"controls": ["control_blurr"]}, REPOSITORY)


TITLES = {"low_dose": "Low Dose", "control_oracle": "Oracle", "control_blur": "Blur"}
TITLES |= {"control_shuffled": "Shuffled"}
VALUES = {"psnr": (30.0, np.inf, 31.5, 10.0), "ssim": (0.9, 1.0, 0.95, 0.4)}
VALUES |= {"rmse_hu": (13.0, 0.0, 11.0, 120.0)}


def scores() -> pd.DataFrame:
    frame = pd.DataFrame(VALUES, index=pd.Index(TITLES, name="method")).reset_index()
    return pd.concat([frame.assign(patient="L1", slice_index=index) for index in (4, 8)])


def test_table_has_values_of_oracle_and_shuffled_and_changes_by_the_others(tmp_path):
    discs = pd.DataFrame({"method": ["low_dose", "control_blur"], "d_prime": [2, 2.5]})
    context = {"note": "made-up data", "protocol": "a window", "credit": "Thanks."}
    tables = {"scores": scores(), "detectability": discs}
    write_controls(tables, TITLES, context, tmp_path / "controls", [])
    text = (tmp_path / "controls.md").read_text(encoding="utf-8")
    assert "| Metric | Low Dose | Oracle | Shuffled | Δ Blur |" in text
    assert "| PSNR (dB) ↑ | 30.00 | ∞ | 10.00 | +1.50 |" in text
    assert "| RMSE (HU) ↓ | 13.00 | 0.00 | 120.00 | −2.00 |" in text
    assert "| d' ↑ | 2.00 | – | – | +0.50 |" in text
    assert "made-up data" in text and "a window" in text and "Thanks." in text
    values = pd.read_csv(tmp_path / "controls.csv")
    assert list(values.columns) == ["metric", "table", "method", "value"]
    assert len(values) == 3 * 4 + 2


@pytest.mark.parametrize(
    ("method", "metric", "value", "words"),
    [
        ("control_oracle", "psnr", 61.5, "psnr of control_oracle, L1, slice 4: found 61.5"),
        ("control_oracle", "ssim", 0.99, "ssim of control_oracle, L1, slice 4: found 0.99"),
        ("control_oracle", "rmse_hu", 0.1, "rmse_hu of control_oracle, L1, slice 4: found 0.1"),
        ("control_shuffled", "psnr", 30.0, "psnr of control_shuffled: found 30, expected less"),
        ("control_shuffled", "ssim", 0.91, "ssim of control_shuffled: found 0.91, expected less"),
    ],
)
def test_a_metric_whose_code_is_wrong_is_one_line_and_no_table(
    tmp_path, method, metric, value, words
):
    check_scores(scores(), "low_dose")
    wrong = scores()
    wrong.loc[wrong["method"] == method, metric] = value
    with pytest.raises(InputError, match=words) as caught:
        write_controls({"scores": wrong}, TITLES, {}, tmp_path / "controls", [])
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())
