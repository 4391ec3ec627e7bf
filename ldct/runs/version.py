"""Results of other versions of the suite: told, or refused with the reason."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ldct.common.errors import InputError
from ldct.common.files import read_yaml

# Raised by an update that makes everything once again. 1: of 0.1.0.
RESULTS = 2


def upgrade_text(run: Path) -> str:
    """What the first run after an update says in one line; "" where nothing is to be told.

    run : folder results/<run>. Raises InputError where a newer version made what it holds.
    """
    file = run / "config.yaml"
    if not file.is_file() or _results(read_yaml(file), run) == RESULTS:
        return ""
    return (
        f"{run}: an older version made it; everything is made once again (CHANGELOG.md). To keep "
        "what is there, stop now and rename the folder"
    )


def check_readable(settings: Mapping[str, Any], run: Path) -> None:
    """Raise InputError where another version made a run, whose files then differ.

    settings : of the run's config.yaml.
    """
    if _results(settings, run) != RESULTS:
        raise InputError(
            f"{run}: an older version of the suite made it, whose files differ; run its "
            "configuration again, or read it with that version"
        )


def _results(settings: Any, run: Path) -> int:
    known = settings if isinstance(settings, dict) else {}
    # Until the number was written, `sealed` told the versions apart.
    found = known.get("results", 2 if "sealed" in known else 1)
    if found > RESULTS:
        raise InputError(
            f"{run}: a newer version of the suite made it (results {found}, expected {RESULTS}); "
            "update the suite, or choose another `run`"
        )
    return found
