"""Whether the adversary of a method was at work."""

import pytest

from ldct.common.files import write_json
from ldct.statistics.adversary import adversary_auc, adversary_state

SETTINGS = {
    "chains": {"gan": ["gan"], "cascade": ["gan", "second"], "plain": ["plain"]},
    "method_seeds": {name: ["0", "1"] for name in ("gan", "cascade", "plain")},
}


@pytest.mark.parametrize(
    ("of_seeds", "second", "state"),
    [
        ((0.5, 0.8), None, "at work"),
        ((0.5, 0.6), None, "not at work"),
        ((1, 1), 0.5, "not at work"),
    ],
)
def test_seeds_are_averaged_and_the_weakest_critic_of_a_chain_counts(
    tmp_path, of_seeds, second, state
):
    for seed, auc in enumerate(of_seeds):
        for model, own in (("gan", auc), ("second", second), ("plain", None)):
            write_json(tmp_path / f"models/{model}/{seed}/training.json", {"critic_auc": own})
    found = adversary_auc(tmp_path, SETTINGS, "cascade")
    assert found == pytest.approx(second or sum(of_seeds) / 2)
    assert adversary_state(found) == state
    for name in ("plain", "low_dose"):
        assert adversary_auc(tmp_path, SETTINGS, name) is None
    assert adversary_state(None) == "none"
