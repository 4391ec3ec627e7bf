"""Columns of the table `detectability`."""

from ldct.rendering.columns import Formula

DETECTABILITY = {
    "d_prime": Formula(
        "d'",
        "",
        2,
        "higher",
        "difference of a channelised Hotelling observer's mean outputs with and without the disc, "
        "over their standard deviation",
    ),
    "change": Formula(
        "change of d'", "", 2, "higher", "d' minus that of the low dose at the same places"
    ),
}
