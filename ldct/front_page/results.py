"""Files of a finished run, read by name; what the run has not made is None."""

from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from ldct.common.files import read_json
from ldct.common.provenance import RECORD_SUFFIX
from ldct.common.run_files import IMAGES
from ldct.runs.lineage import find_record

DIGEST = 12  # characters of a sha256 that tell files apart for people


@dataclass(frozen=True)
class Results:
    """Results of one run.

    run : folder results/<run>. settings : its resolved configuration. files : those of its files
    that the page shows; others in the folder may be left from an earlier configuration.
    """

    run: Path
    settings: Mapping[str, Any]
    files: frozenset[Path]

    def path(self, name: str) -> Path | None:
        """A file by its name below the run's folder."""
        path = self.run / name
        return path if path in self.files else None

    def frame(self, name: str, **options: Any) -> pd.DataFrame | None:
        """A CSV table; options : of pandas.read_csv."""
        path = self.path(name)
        return None if path is None else pd.read_csv(path, **options)

    def json(self, name: str) -> Any:
        """A JSON file."""
        path = self.path(name)
        return None if path is None else read_json(path)

    def image(self, name: str) -> str | None:
        """A PNG as data URI, its bytes as they are."""
        path = self.path(name)
        if path is None:
            return None
        return f"data:image/png;base64,{b64encode(path.read_bytes()).decode('ascii')}"

    def record(self, name: str) -> dict[str, Any] | None:
        """What made a file, for people: verb, inputs with digests, code, time; None without one."""
        path = self.path(name)
        found = None if path is None else find_record(path)
        if found is None:
            return None
        words = found["command"][1:]
        verb = words[2] if words[:1] == ["--log"] else next(iter(words), "")
        return {
            "name": name,
            "href": f"{name}{RECORD_SUFFIX}",
            "verb": verb,
            "code": found["code"]["git"] or found["code"]["version"],
            "finished": found["finished"],
            "seconds": found["seconds"],
            "content": _digest(found["content"]),
            "inputs": {file: _digest(content) for file, content in found["inputs"].items()},
            "notes": found["settings"].get("notes", []),
        }

    @cached_property
    def titles(self) -> dict[str, str]:
        """Methods, controls and both doses to their printed names."""
        cards = {**self.settings["cards"], **self.settings.get("control_cards", {})}
        return IMAGES | {name: card["title"] for name, card in cards.items()}


def _digest(content: Mapping[str, Any]) -> str:
    if "sha256" in content:
        return content["sha256"][:DIGEST]
    return f"{content['bytes']:,} bytes" if "bytes" in content else "folder"
