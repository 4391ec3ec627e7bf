"""Whether the adversary of a method was at work."""

import pytest

from ldct.common.files import write_json
from ldct.statistics.adversary import adversary_auc, adversary_state

NAMES = ("gan", "cascade", "plain")
SETTINGS = {
    "chains": {"gan": ["gan"], "cascade": ["gan", "second"], "plain": ["plain"]},
    "method_seeds": {name: ["0", "1"] for name in NAMES},
}


@pytest.mark.parametrize(("second", "states"), [(None, (1, 1, 0)), (0.5, (1, 2, 0))])
def test_seeds_are_averaged_and_the_weakest_critic_of_a_chain_counts(tmp_path, second, states):
    for seed, auc in (("0", 0.5), ("1", 0.7)):
        for model, own in (("gan", auc), ("second", second), ("plain", None)):
            write_json(tmp_path / f"models/{model}/{seed}/training.json", {"critic_auc": own})
    found = [adversary_auc(tmp_path, SETTINGS, name) for name in NAMES]
    assert found == [pytest.approx(0.6), pytest.approx(second or 0.6), None]
    words = ("none", "at work", "not at work")
    assert [adversary_state(auc) for auc in found] == [words[state] for state in states]
