"""Does a method work? Tried on a synthetic pair in seconds, told in words."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ldct.common.errors import InputError
from ldct.configuration.registry import read_card
from ldct.configuration.resolve import check_folder
from ldct.configuration.stages import resolve_models
from ldct.method_check.classical import check_classical, check_control
from ldct.method_check.external import check_external
from ldct.method_check.given import check_predictions
from ldct.method_check.pair import SIDE, TILE, Verdict, write_pair

SOURCE_OF_TEMPLATE = "Where the method comes from"


def check_method(
    name: str, methods: Mapping[str, Path], published: Mapping[str, Any], work: Path
) -> Verdict:
    """Try one method and say what is wrong with it.

    methods : method names to folders. published : rows of config/published.yaml.
    work : an empty folder for the synthetic data and what the method makes of it.
    """
    verdict = Verdict()
    folder = methods[name]
    try:
        card = read_card(folder)
        check_folder(folder, card, published)
        models, chains = resolve_models([name], methods, {"steps": 2}, TILE)
    except InputError as error:
        verdict.problems.append(str(error))
        return verdict
    verdict.facts["kind"] = card["kind"]
    if card["source"].startswith(SOURCE_OF_TEMPLATE):
        verdict.remarks.append("source is still the template's; say where the method comes from")
    side = max([SIDE, *(stage["tile_size"] for stage in models.values())])
    volume = write_pair(work / "L000", slices=3, shape=(side, side))
    try:
        if card["kind"] == "classical":
            check_classical(folder, card, volume, work, verdict)
        elif card["kind"] == "external":
            check_external(folder, card, work, verdict)
        elif card["kind"] == "predictions":
            check_predictions(folder, card, work, verdict)
        elif card["kind"] == "control":
            check_control(folder, card, volume, work, verdict)
        elif card["kind"] != "identity":
            from ldct.method_check.networks import check_networks

            check_networks(folder, card, models, chains[name], volume, work, verdict)
    except InputError as error:
        verdict.problems.append(str(error))
    except Exception as error:
        verdict.problems.append(f"{folder}: {type(error).__name__}: {error}")
    return verdict
