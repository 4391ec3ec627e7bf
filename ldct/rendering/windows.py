"""Display windows by name, and which of them shows a region."""

import numpy as np

# Lower and upper bound in HU, as radiologists set them.
WINDOWS = {"soft tissue": (-160.0, 240.0), "lung": (-1350.0, 150.0), "bone": (-450.0, 1050.0)}


def fitting_window(hu: np.ndarray, window: tuple[float, float]) -> str | None:
    """Name of the window that shows a region which `window` does not; None where it does.

    hu : values of the region, any shape; at least half of them within a window is shown by it.
    None also where no window shows the region.
    """

    def shown(bounds: tuple[float, float]) -> float:
        return float(np.mean((hu >= bounds[0]) & (hu <= bounds[1])))

    if shown(window) >= 0.5:
        return None
    best = max(WINDOWS, key=lambda name: shown(WINDOWS[name]))
    return best if shown(WINDOWS[best]) >= 0.5 else None


def window_text(window: tuple[float, float]) -> str:
    """`[−160, 240] HU`."""
    return f"[{window[0]:g}, {window[1]:g}] HU".replace("-", "−")
