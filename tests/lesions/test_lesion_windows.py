"""A lesion outside the protocol's window is shown in one that fits."""

import numpy as np
import pytest
from made_up_slices import ABDOMEN as PROTOCOL
from made_up_slices import LESIONS, write_patient

from ldct.lesions import panels
from ldct.rendering.windows import WINDOWS, fitting_window


@pytest.mark.parametrize(
    ("hu", "window", "name"),
    [
        ([50, 60, -800], (-160, 240), None),
        ([-600, -700, 50], (-160, 240), "lung"),
        ([700, 800, 900], (-160, 240), "bone"),
        ([-600, -700], (-1024, 3071), None),
        ([3000, 3000], (-160, 240), None),  # metal: no window shows it
        ([40, 50], (300, 500), "soft tissue"),
    ],
)
def test_window_fits_most_of_the_region(hu, window, name):
    assert fitting_window(np.array(hu), window) == name


def test_panel_has_a_second_row_where_the_lesion_lies_outside(tmp_path, monkeypatch):
    figures = []
    monkeypatch.setattr(panels.fs, "save_figure", lambda figure, stem: figures.append(figure))
    predictions = write_patient(tmp_path)
    (tmp_path / "lesions.csv").write_text(LESIONS)
    case = (tmp_path / "test/L7", predictions)
    panels.render_lesion_panels([case], tmp_path / "lesions.csv", PROTOCOL, "made", tmp_path)
    soft, lung = figures[0], figures[3]
    assert [len(figure.axes) for figure in (soft, lung)] == [5, 10]
    shown = {image.get_clim() for axes in lung.axes for image in axes.images}
    assert shown == {(-160, 240), WINDOWS["lung"]}
    assert [axes.get_ylabel() for axes in lung.axes if axes.get_ylabel()] == ["lung window"]
    footer = lung.texts[0].get_text().replace("\n", " ")
    assert "window [−160, 240] HU; lower row: lung window [−1350, 150] HU" in footer
    assert "of the crop in the first window" in footer
    assert "lower row" not in soft.texts[0].get_text()
