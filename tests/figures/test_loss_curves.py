"""Loss curves: every stage has a panel, every term a curve, every seed its own."""

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex

from ldct.figures.loss_curves import History, draw_loss_curves, read_histories
from ldct.rendering import figure_style as style
from ldct.rendering.figure_style import save_figure


def history(title, steps=40, **terms):
    rng = np.random.default_rng(len(title))
    columns = {name: scale * rng.uniform(0.5, 1.5, steps) for name, scale in terms.items()}
    return History(title, pd.DataFrame({"step": np.arange(steps) * 10, **columns}))


def panels(figure):
    return [axes for axes in figure.axes if axes.get_visible() and axes.get_title()]


def test_a_panel_for_each_stage_and_a_curve_for_each_term_and_seed():
    histories = [
        history("DRL", mse=1e-3),
        history("LSGAN", mae=0.01, adversarial=2, critic_real=1, critic_fake=1),
        history("LSGAN", mae=0.01, adversarial=2, critic_real=1, critic_fake=1),
        history("WGAN", mse=1e-3, critic_distance=-1),
    ]
    figure = draw_loss_curves(histories, "a note")
    assert [axes.get_title() for axes in panels(figure)] == ["DRL", "LSGAN", "WGAN"]
    assert [len(axes.lines) for axes in panels(figure)] == [2, 16, 4]
    assert [axes.get_yscale() for axes in panels(figure)] == ["log", "log", "symlog"]
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == [
        "squared error",
        "absolute error",
        "adversarial",
        "critic on NDCT",
        "critic on predictions",
        "critic distance",
    ]
    assert "a note" in figure.texts[-1].get_text()


def test_curves_have_the_values_of_the_history():
    one = history("DRL", mse=1e-3)
    faint, bold = panels(draw_loss_curves([one], ""))[0].lines
    np.testing.assert_array_equal(faint.get_ydata(), one.rows["mse"])
    np.testing.assert_allclose(bold.get_ydata()[10], one.rows["mse"][8:12].mean())
    assert to_hex(bold.get_color(), keep_alpha=False).upper() == style.BLUE


def test_validation_and_critic_have_axes_of_their_own():
    rows = pd.DataFrame({"step": [0, 10, 20], "mse": [3.0, 2.0, 1.0]})
    rows = rows.assign(val_psnr=[np.nan, 30.0, 31.0], critic_auc=[np.nan, 0.5, 0.9])
    figure = draw_loss_curves([History("DRL", rows)], "")
    (right,) = [axes for axes in figure.axes if "PSNR" in axes.get_ylabel()]
    np.testing.assert_array_equal(right.lines[0].get_xydata(), [[10, 30], [20, 31]])
    (below,) = [axes for axes in figure.axes if axes.get_ylabel() == "AUC"]
    chance, curve = below.lines
    assert set(chance.get_ydata()) == {0.5}
    np.testing.assert_array_equal(curve.get_xydata(), [[10, 0.5], [20, 0.9]])
    assert "PSNR of the held-out patient" in [t.get_text() for t in figure.legends[0].get_texts()]


@pytest.mark.parametrize("count", [1, 4])
def test_any_number_of_stages_can_be_saved(tmp_path, count):
    figure = draw_loss_curves([history(f"Stage {n}", mse=1.0) for n in range(count)], "note")
    for path in save_figure(figure, tmp_path / "curves"):
        assert path.stat().st_size > 1000


def test_one_row_and_unknown_terms_are_drawn(tmp_path):
    (tmp_path / "history.csv").write_text("step,own_term\n0,0.5\n")
    (one,) = read_histories(["Own"], [tmp_path / "history.csv"])
    axes = panels(draw_loss_curves([one], ""))[0]
    assert axes.lines[0].get_ydata().tolist() == [0.5]
