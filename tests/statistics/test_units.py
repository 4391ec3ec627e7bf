"""Student's t over units: values of scipy and statsmodels; coverage and size by simulation."""

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.weightstats import DescrStatsW

from ldct.statistics.uncertainty import within_limits
from ldct.statistics.units import UnitMean

REPEATS = 2000
# Three standard errors of a share of REPEATS near 5 %.
SLACK = 3 * (0.05 * 0.95 / REPEATS) ** 0.5


def drawn(units: int, mean: float = 0.0, sd: float = 1.0, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(mean, sd, (REPEATS, units))


def share(units: np.ndarray, outcome: str, margin: float | None = None) -> float:
    return np.mean([UnitMean.of(own).outcome(0.95, 0.0, margin) == outcome for own in units])


@pytest.mark.parametrize("units", [3, 4, 10])
def test_interval_and_p_values_are_those_of_the_libraries(units):
    values = drawn(units, 0.3)[0]
    own, test = UnitMean.of(values), stats.ttest_1samp(values, 0.1)
    expected = test.confidence_interval(0.9)
    assert own.bounds(0.9) == pytest.approx((expected.low, expected.high))
    assert own.p_value(0.1) == pytest.approx(test.pvalue)
    assert own.p_equal(0.5) == pytest.approx(DescrStatsW(values).ttost_mean(-0.5, 0.5)[0])


@pytest.mark.parametrize("values", [[], [1.0], [1.0, 2.0], [1.0, np.inf, 2.0], [1.0, np.nan, 2.0]])
def test_too_few_units_and_infinite_values_have_no_test(values):
    own = UnitMean.of(values)
    assert not own.tested and np.isnan([*own.bounds(0.95), own.p_value()]).all()
    assert own.outcome(0.95, 0.0, 0.2) == "open"


@pytest.mark.parametrize(("value", "outcome"), [(0.0, "equal"), (0.1, "equal"), (0.3, "above")])
def test_units_without_spread(value, outcome):
    assert UnitMean.of([value] * 3).outcome(0.95, 0.0, 0.2) == outcome


@pytest.mark.parametrize("patients", [3, 10])
def test_coverage_of_the_interval_over_patients(patients):
    bounds = [UnitMean.of(own).bounds(0.95) for own in drawn(patients, 30.0, 2.0)]
    covered = np.mean([low <= 30 <= high for low, high in bounds])
    assert covered == pytest.approx(0.95, abs=SLACK)


@pytest.mark.parametrize("patients", [3, 10])
def test_size_of_the_test_of_equality(patients):
    """A difference as large as the margin passes as none in 5 % of runs at most."""
    assert share(drawn(patients, 0.2, 0.05), "equal", 0.2) == pytest.approx(0.05, abs=SLACK)
    assert share(drawn(patients, 0.2, 0.5), "equal", 0.2) <= 0.05 + SLACK


@pytest.mark.parametrize(("patients", "power"), [(3, 0.44), (10, 0.99)])
def test_power_to_show_no_difference(patients, power):
    """At a spread of 0.12 dB and a margin of 0.2 dB."""
    assert share(drawn(patients, 0.0, 0.12), "equal", 0.2) == pytest.approx(power, abs=0.04)


def test_patients_alone_take_the_luck_of_few_trainings_for_a_difference():
    """Ten patients, three trainings, no difference: both tests together keep their size."""
    rng = np.random.default_rng(1)
    grid = rng.normal(0, 0.1, (REPEATS, 10, 1)) + rng.normal(0, 0.1, (REPEATS, 1, 3))
    patients = [UnitMean.of(own).outcome(0.95) for own in grid.mean(axis=2)]
    trainings = [UnitMean.of(own).outcome(0.95) for own in grid.mean(axis=1)]
    both = np.mean([a == b != "open" for a, b in zip(patients, trainings, strict=True)])
    assert np.mean([a != "open" for a in patients]) > 0.2
    assert both <= 0.05 + SLACK


@pytest.mark.parametrize(
    ("limits", "values"),
    [((0, np.inf), [1.0, 2.0, 9.0]), ((0, 1), [0.9, 0.99, 0.999]), ((-np.inf, 1), [0.2, 0.9, 1.0])],
)
def test_intervals_stay_where_values_can_be(limits, values):
    own = UnitMean.of(values)
    assert not limits[0] < own.bounds(0.95)[0] < own.bounds(0.95)[1] < limits[1]
    low, high = within_limits(own, 0.95, limits)
    assert limits[0] < low < own.mean < high < limits[1]
    narrow = UnitMean(own.mean, 3, 1e-6, 2.0)
    assert within_limits(narrow, 0.95, limits) == pytest.approx(narrow.bounds(0.95), rel=1e-6)


def test_coverage_of_an_interval_on_the_log_axis():
    noise = np.exp(drawn(4, np.log(15), 0.2))
    found = [within_limits(UnitMean.of(own), 0.95, (0, np.inf)) for own in noise]
    covered = np.mean([low <= 15 * np.exp(0.02) <= high for low, high in found])
    assert covered == pytest.approx(0.95, abs=0.02)
