"""Model observers: how well a known signal in a known place can be told from its absence.

Both observers are linear: a test statistic t = w . g of an image g, and detectability
d' = (mean of t with signal - mean without) / standard deviation of t within a class. The templates
hold no constant part, so the local brightness of the background tells nothing; in white noise of
standard deviation sigma the best such observer has d' = |s - mean(s)| / sigma for a signal s.

Channelised Hotelling observer (CHO): g is reduced to Laguerre-Gauss channels (Gallas and Barrett, J
Opt Soc Am A 20 (2003) 1725), w is the Hotelling template of the channel outputs. Nothing is held
back for testing; the optimism of that is taken off in closed form (see `hotelling`).
Non-prewhitening matched filter (NPW): w is the signal itself, whatever the noise; nothing is
trained. Its d' has a sign: an image that shows the signal inverted gives a negative one, where the
CHO would turn its template round.

Samples are pairs: one place with and without the signal. Intervals are jackknife intervals over
places (Efron and Stein, Ann Stat 9 (1981) 586), so they say nothing of other patients.
"""

from dataclasses import dataclass

import numpy as np
from scipy import special, stats

from ldct.errors import InputError

CHANNELS = 5
CHANNEL_WIDTH_DIAMETERS = 1.0
REGION_DIAMETERS = 3.0
SMALLEST_REGION_PX = 9


@dataclass(frozen=True)
class Detectability:
    """d' with its interval, and of how many places; NaN where it cannot be told.

    leave_one_out : d' without each place in turn, never cut at zero: what paired comparisons need.
    """

    d_prime: float
    lower: float
    upper: float
    n_signals: int
    leave_one_out: np.ndarray


def region_side(diameter_px: float, crop: int) -> int:
    """Side in pixels (odd) of the square that observers see: three diameters, at most the crop.

    Raises InputError where the crop is smaller than nine pixels.
    """
    if crop < SMALLEST_REGION_PX:
        raise InputError(f"crop of {crop} pixels; expected at least {SMALLEST_REGION_PX}")
    side = max(int(np.ceil(REGION_DIAMETERS * diameter_px)), SMALLEST_REGION_PX)
    return min(side + 1 - side % 2, crop - 1 + crop % 2)


def central_regions(images: np.ndarray, side: int) -> np.ndarray:
    """The squares of `side` pixels about pixel (n // 2, n // 2) of images (..., n, n)."""
    rows, columns = images.shape[-2:]
    top, left = rows // 2 - side // 2, columns // 2 - side // 2
    return images[..., top : top + side, left : left + side]


def laguerre_gauss(side: int, width_px: float, channels: int = CHANNELS) -> np.ndarray:
    """Laguerre-Gauss channels without their constant part; float64 (channels, side, side).

    u_p(r) = L_p(2 pi r^2 / a^2) exp(-pi r^2 / a^2), p = 0 .. channels - 1, a = `width_px`; each
    channel has norm 1.
    """
    axis = np.arange(side) - side // 2
    square = 2 * np.pi * (axis[:, None] ** 2 + axis**2) / width_px**2
    orders = np.arange(channels)[:, None, None]
    return _without_mean(special.eval_laguerre(orders, square) * np.exp(-square / 2))


def _without_mean(templates: np.ndarray) -> np.ndarray:
    centred = templates - templates.mean(axis=(-2, -1), keepdims=True)
    return centred / np.sqrt((centred**2).sum(axis=(-2, -1), keepdims=True))


def cho_outputs(regions: np.ndarray, diameter_px: float) -> np.ndarray:
    """Channel outputs (n, channels) of regions (n, side, side)."""
    channels = laguerre_gauss(regions.shape[-1], CHANNEL_WIDTH_DIAMETERS * diameter_px)
    return np.einsum("nij,cij->nc", np.asarray(regions, np.float64), channels)


def npw_outputs(regions: np.ndarray, signal: np.ndarray) -> np.ndarray:
    """Outputs (n, 1) of the matched filter of `signal` (side, side) on regions (n, side, side)."""
    template = _without_mean(np.asarray(signal, np.float64))
    return np.einsum("nij,ij->n", np.asarray(regions, np.float64), template)[:, None]


def hotelling(absent: np.ndarray, present: np.ndarray) -> float:
    """d'^2 of the Hotelling observer on paired outputs, without the bias of a finite sample.

    absent, present : (n, p), row i of both from the same place.
    With the mean difference m of the pairs, their covariance C, and the covariance K within a class
    (mean of both classes, n - 1 degrees of freedom), all estimated,

        d'^2 = (n - p - 2) / (n - 1) (m' inv(K) m - trace(inv(K) C) / n)

    which is unbiased for normal outputs: the expectation of inv(K) is too large by the first
    factor (Wishart), and the noise of m adds the trace. May be negative where there is no signal.
    NaN for fewer than p + 3 pairs or a singular K.
    """
    count, channels = absent.shape
    if count < channels + 3:
        return np.nan
    difference = present - absent
    mean = difference.mean(axis=0)
    within = (np.cov(absent.T) + np.cov(present.T)).reshape(channels, channels) / 2
    between = np.cov(difference.T).reshape(channels, channels)
    if not np.linalg.cond(within) < 1e12:
        return np.nan
    solved = np.linalg.solve(within, np.column_stack([mean, between]))
    raw = mean @ solved[:, 0] - np.trace(solved[:, 1:]) / count
    return float((count - channels - 2) / (count - 1) * raw)


def matched_filter(absent: np.ndarray, present: np.ndarray) -> float:
    """d' of a fixed template on paired outputs (n, 1), with its sign, without small-sample bias.

    With the mean difference m of the pairs and the variance K within a class as in `hotelling`,

        d' = J m / sqrt(K),  J = gamma(v / 2) / (sqrt(v / 2) gamma((v - 1) / 2)),  v = n - 1

    (Hedges, J Educ Stat 6:107-128, 1981). m is not squared, so its noise adds nothing: the
    estimate is unbiased for normal outputs at d' = 0 too, negative half of the time there.
    NaN for fewer than 4 pairs (with 3 its variance is infinite) or outputs that do not vary.
    """
    count = len(absent)
    if count < 4:
        return np.nan
    within = (absent.var(ddof=1) + present.var(ddof=1)) / 2
    if not within > 0:
        return np.nan
    half = (count - 1) / 2
    correction = np.exp(special.gammaln(half) - special.gammaln(half - 0.5)) / np.sqrt(half)
    return float(correction * (present - absent).mean() / np.sqrt(within))


def trained_observer(absent: np.ndarray, present: np.ndarray) -> float:
    """d' of the Hotelling observer: root of `hotelling`, with the sign of that square.

    The sign keeps the noise about d' = 0 symmetric; it says nothing of the signal's own sign.
    """
    square = hotelling(absent, present)
    return float(np.copysign(np.sqrt(abs(square)), square))


def detectability(
    absent: np.ndarray,
    present: np.ndarray,
    confidence: float = 0.95,
    *,
    fixed_template: bool = False,
) -> Detectability:
    """d' of paired outputs (n, p), with a jackknife interval over the n places.

    fixed_template : of one channel that was not trained on these outputs (`matched_filter`); else
    the Hotelling observer is trained on them, and its d' and bounds are cut at zero.
    The interval is d' plus or minus Student's quantile times the jackknife standard error.
    """
    observe = matched_filter if fixed_template else trained_observer
    count = len(absent)
    places = np.arange(count)
    without = np.array(
        [
            observe(absent[kept], present[kept])
            for kept in (np.delete(places, place) for place in places)
        ]
    )
    bounds = jackknife_interval(observe(absent, present), without, confidence)
    lowest = -np.inf if fixed_template else 0
    values = (float(np.maximum(value, lowest)) for value in bounds)
    return Detectability(*values, count, without)


def jackknife_interval(
    estimate: float, leave_one_out: np.ndarray, confidence: float = 0.95
) -> tuple[float, float, float]:
    """An estimate with the interval that follows from the estimates without each place in turn.

    All three are NaN where one of the numbers is.
    """
    count = len(leave_one_out)
    if count < 2 or np.isnan(estimate) or np.isnan(leave_one_out).any():
        return np.nan, np.nan, np.nan
    error = np.sqrt(jackknife_variance(leave_one_out))
    reach = float(stats.t.ppf((1 + confidence) / 2, count - 1) * error)
    return estimate, estimate - reach, estimate + reach


def jackknife_variance(leave_one_out: np.ndarray) -> float:
    """Variance of an estimate, from the estimates without each place in turn."""
    return float((len(leave_one_out) - 1) * leave_one_out.var())
