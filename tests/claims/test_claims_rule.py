"""How the parts of a claim make its verdict."""

import pytest

from ldct.claims.judge import weigh


@pytest.mark.parametrize(
    ("outcomes", "rank", "missing", "verdict"),
    [
        (["for"], 1, 0, "supported"),
        (["for", "open"], 1, 0, "undecided"),
        (["for", "equal"], 1, 0, "practically equal"),
        (["equal", "open"], 1, 0, "undecided"),
        (["equal", "against"], 1, 0, "contradicted"),
        (["for", "against"], 1, 0, "contradicted"),
        (["for", "for"], 1, 1, "not measured"),
        (["against", "for"], 1, 1, "contradicted"),
        (["against", "for", "for"], 2, 0, "supported"),
        (["equal", "for", "for"], 2, 0, "practically equal"),
        (["for", "for", "for"], 2, 0, "contradicted"),
        (["against", "against", "open"], 2, 0, "contradicted"),
        (["against", "open", "for"], 2, 0, "undecided"),
        (["for", "for"], 2, 1, "not measured"),
        ([], 1, 1, "not measured"),
    ],
)
def test_parts_together(outcomes, rank, missing, verdict):
    assert weigh({"rank": rank}, [(each, 0.001) for each in outcomes], missing)[0] == verdict


def test_p_value_of_parts_together():
    assert weigh({}, [("for", 0.01), ("for", 0.03)]) == ("supported", 0.03)
    verdict, p_value = weigh({}, [("against", 0.01), ("for", 0.03), ("against", 0.002)])
    assert (verdict, p_value) == ("contradicted", pytest.approx(3 * 0.002))
    # Three parts: the correction inside the claim.
    assert weigh({}, [("against", 0.02), ("for", 0.03), ("open", 0.5)]) == ("undecided", 0.5)
    assert weigh({}, [("for", None)]) == ("supported", None)
    assert weigh({}, [("for", None), ("for", 0.02)]) == ("supported", 0.02)
