"""A method made ready for scans of one's own, and what it has seen of scans."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ldct.common.errors import InputError
from ldct.common.files import REPOSITORY, sha256_of_file
from ldct.configuration.folds import is_tuned
from ldct.configuration.registry import find_methods, method_folder, read_card
from ldct.configuration.stages import LEARNED
from ldct.data.dicom.hounsfield import HIGHEST_HU, LOWEST_HU
from ldct.rendering.numbers import counted
from ldct.scan.derived import Maker
from ldct.weights.find import Models, find_models

KINDS = ("identity", "classical", *LEARNED)
UNKNOWN = ("", "UNKNOWN")
SLACK = {"thickness_mm": 0.05, "quarter_noise_hu": 0.0}


@dataclass(frozen=True)
class Method:
    """A method with all that it needs. models : None where it was neither trained nor tuned."""

    name: str
    folder: Path
    card: Mapping[str, Any]
    models: Models | None

    @property
    def parameters(self) -> Mapping[str, Any]:
        """What its denoise.py receives: what was tuned, else the card's settings."""
        tuned = self.models.parameters if self.models else None
        return self.card.get("settings", {}) if tuned is None else tuned

    @property
    def hu(self) -> tuple[float, float]:
        """Lowest and highest HU that it takes in."""
        units = self.models.scaling if self.models else None
        return (units.lower, units.upper) if units and units.clip else (LOWEST_HU, HIGHEST_HU)

    @property
    def maker(self) -> Maker:
        """What derived series say of it."""
        files = [*(self.models.weights if self.models else []), self.folder / "denoise.py"]
        parts = [sha256_of_file(file) for file in files if file.is_file()]
        parts.append(json.dumps(self.parameters, sort_keys=True))
        digest = hashlib.sha256("".join(parts).encode()).hexdigest()
        seed = f", seed {self.models.about['seed']}" if self.models and self.models.levels else ""
        return Maker(self.name, self.card["title"] + seed, digest)

    def told(self) -> list[str]:
        """What it has seen, and what has changed since, in lines for the person who uses it."""
        if not self.models:
            return [f"{self.card['title']} has learned from no scan"]
        about, span = self.models.about, self.models.about["span"]
        seen = "its training data are gone, so nothing is known of them"
        if span:
            kernels = ", ".join(_known(span)) or "unknown"
            thickness, noise = (_range(span[key]) for key in SLACK)
            seen = f"kernels {kernels}; thickness {thickness} mm; noise {noise} HU"
        patients = len(about["data"]["patients"])
        dose = "simulated" if about["data"]["simulate"] else "measured"
        steps = f", {about['budget_text']}" if self.models.levels else ""
        lines = [
            f"{self.card['title']}, {self.models.title}: has seen {counted(patients, 'patient')}, "
            f"{dose} low dose{steps}; {seen}"
        ]
        if self.models.changed:
            lines.append(f"warning: changed since the training: {', '.join(self.models.changed)}")
        return lines

    def outside(self, kernel: str, thickness_mm: float, noise_hu: float) -> list[str]:
        """What of a series lies outside of what it has seen, one phrase each.

        thickness_mm, noise_hu : NaN where unknown, which lies nowhere.
        """
        span = self.models.about["span"] if self.models else None
        if not span:
            return []
        found = []
        if (known := _known(span)) and kernel not in known:
            found.append(f"kernel {kernel or 'unknown'}, seen were {', '.join(known)}")
        for key, what, value, unit in (
            ("thickness_mm", "thickness", thickness_mm, "mm"),
            ("quarter_noise_hu", "noise", noise_hu, "HU"),
        ):
            least, most = span[key]
            if value < least - SLACK[key] or value > most + SLACK[key]:
                found.append(f"{what} {value:.3g} {unit}, seen were {_range(span[key])} {unit}")
        return found


def find_method(
    name: str,
    weights: str = "reference",
    training: str | None = None,
    method_paths: Sequence[Path] = (),
) -> Method:
    """A method by name, ready to be applied.

    weights : "reference", the name of a run in results/, or the folder of a run or of a set.
    training, method_paths : as in `find_models`.
    Raises InputError where there is no such method, where it cannot denoise a scan alone, or where
    `weights` has none of it.
    """
    folders = find_methods([REPOSITORY / "methods", *method_paths])
    folder = method_folder(name, folders, "--method")
    card = read_card(folder)
    if card["kind"] not in KINDS:
        raise InputError(
            f"--method: found '{name}' of kind {card['kind']}, expected one of the kinds "
            f"{', '.join(KINDS)}: others run in the workflow alone"
        )
    learned = card["kind"] in LEARNED or is_tuned(folder)
    runs = [root / "results" / weights for root in (Path(), REPOSITORY)]
    source = next((run for run in runs if run.is_dir() and weights != "reference"), weights)
    models = find_models(name, source, training, method_paths) if learned else None
    return Method(name, folder, card, models)


def _known(span: Mapping[str, Any]) -> list[str]:
    return [kernel for kernel in span["kernel"] if kernel not in UNKNOWN]


def _range(bounds: Sequence[float]) -> str:
    return " to ".join(f"{bound:.3g}" for bound in dict.fromkeys(bounds))
