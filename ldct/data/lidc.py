"""Lesions from the reader XML of the LIDC-IDRI collection (Armato et al. 2011)."""

import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from scipy.sparse.csgraph import connected_components
from scipy.spatial.distance import pdist

from ldct.common.errors import InputError
from ldct.data.geometry import to_mm
from ldct.data.lesions import LESION_COLUMNS, nearest_slice, outside_image

NAMESPACE = {"": "http://www.nih.gov"}
POINT_DIAMETER_MM = 3.0  # nodules below 3 mm are marked with a point: their upper bound
SAME_SLICE_MM = 0.1
CONSENSUS = 0.5  # share of a lesion's readers who must have outlined it on a slice


@dataclass(frozen=True)
class Outline:
    """One reader's mark of one nodule on one slice; x, y and diameter in mm."""

    z_mm: float
    x_mm: float
    y_mm: float
    diameter_mm: float


@dataclass(frozen=True)
class Mark:
    """One reader's nodule; malignancy (1 to 5) is None for nodules below 3 mm."""

    reader: int
    malignancy: int | None
    outlines: tuple[Outline, ...]


def lesions_from_lidc_xml(xml: bytes | str, info: Mapping[str, Any], source: str) -> pd.DataFrame:
    """Rows of `lesions.csv` from one LIDC reader XML.

    Marks of different readers are one lesion when, on a slice both have, the centre of one lies
    within the other's diameter / 2 (at least 1.5 mm). A slice belongs to a lesion when at least
    half of the readers who marked the lesion outlined it there. Centre and diameter are means
    over these readers; the diameter is the longest in-plane extent of the nodule's pixels
    (the outline of LIDC runs one pixel outside). Nodules below 3 mm are marked with a point and
    get a diameter of 3 mm; non-nodules are left out.

    info : content of the patient's `volume.json`, and `shape`, (rows, columns). source : name of
        the file.

    Raises InputError when the text is not such an XML, or a lesion does not lie in the volume.
    """
    try:
        root = ElementTree.fromstring(xml)
        marks = list(_marks(root, info))
    except (ElementTree.ParseError, LookupError, ValueError) as error:
        raise InputError(f"{source}: not a LIDC reader XML ({error})") from error
    readers = len(root.findall("readingSession", NAMESPACE))
    if not readers:
        raise InputError(
            f"{source}: not a LIDC reader XML (found {root.tag}, expected readingSession in "
            f"LidcReadMessage of {NAMESPACE['']})"
        )
    linked = np.array([[_same_lesion(one, other) for other in marks] for one in marks])
    count, labels = connected_components(linked.reshape(len(marks), len(marks)), directed=False)
    groups = [
        [mark for mark, label in zip(marks, labels, strict=True) if label == group]
        for group in range(count)
    ]
    groups.sort(key=lambda group: group[0].outlines[0].z_mm, reverse=True)
    rows = [
        {"patient": info["patient"], "lesion": number, "source": source} | row
        for number, group in enumerate(groups, start=1)
        for row in _lesion_rows(group, readers)
    ]
    for row in rows:
        _check_place(row, info)
    return pd.DataFrame(rows, columns=list(LESION_COLUMNS))


def _check_place(row: Mapping[str, Any], info: Mapping[str, Any]) -> None:
    """Raise InputError for a lesion that is not in the volume: marks of another scan."""
    where, z_mm = f"{row['source']}: lesion {row['lesion']}", row["z_mm"]
    if nearest_slice(info, z_mm) is None:
        first, last = info["z_mm"][0], info["z_mm"][-1]
        raise InputError(
            f"{where}: found imageZposition {z_mm:g}, expected a slice of {info['patient']} "
            f"({first:g} to {last:g} mm); is the XML that of another scan?"
        )
    size = row["diameter_mm"]
    wrong = outside_image(info, "mm", row["x_mm"], row["y_mm"], z_mm, size)
    if wrong:
        raise InputError(
            f"{where}: found {row['x_mm']:g}, {row['y_mm']:g} mm and {size:g} mm across, expected "
            f"a place in the image of {info['patient']}; is the XML that of another scan?"
        )


def _marks(root: ElementTree.Element, info: Mapping[str, Any]) -> Iterable[Mark]:
    """The nodules of every reader; outlines by ascending z."""
    for reader, session in enumerate(root.findall("readingSession", NAMESPACE)):
        for nodule in session.findall("unblindedReadNodule", NAMESPACE):
            malignancy = nodule.findtext("characteristics/malignancy", None, NAMESPACE)
            outlines = [
                _outline(roi, info)
                for roi in nodule.findall("roi", NAMESPACE)
                if roi.findtext("inclusion", "TRUE", NAMESPACE).strip().upper() == "TRUE"
            ]
            if outlines:
                outlines.sort(key=lambda outline: outline.z_mm)
                yield Mark(reader, int(malignancy) if malignancy else None, tuple(outlines))


def _outline(roi: ElementTree.Element, info: Mapping[str, Any]) -> Outline:
    pixels = np.array(
        [
            [_number(edge, axis) for axis in ("xCoord", "yCoord")]
            for edge in roi.findall("edgeMap", NAMESPACE)
        ]
    )
    z_mm = _number(roi, "imageZposition")
    if not len(pixels):
        raise ValueError(f"a roi at imageZposition {z_mm:g} has no edgeMap")
    points = np.column_stack(to_mm(info, *pixels.T, z_mm))
    centre = (points.min(axis=0) + points.max(axis=0)) / 2
    if len(points) == 1:
        diameter = POINT_DIAMETER_MM
    else:
        # Pixels on the outline are outside: two pixels less, and one more for the pixels' width.
        diameter = max(float(pdist(points).max()) - np.mean(info["pixel_mm"]), POINT_DIAMETER_MM)
    return Outline(z_mm, float(centre[0]), float(centre[1]), diameter)


def _number(element: ElementTree.Element, name: str) -> float:
    text = element.findtext(name, "", NAMESPACE)
    try:
        value = float(text)
    except ValueError:
        value = np.nan
    if not np.isfinite(value):
        raise ValueError(f"{name}: found {text!r}, expected a number")
    return value


def _same_lesion(first: Mark, second: Mark) -> bool:
    return any(
        abs(one.z_mm - other.z_mm) <= SAME_SLICE_MM
        and np.hypot(one.x_mm - other.x_mm, one.y_mm - other.y_mm)
        <= max(one.diameter_mm, other.diameter_mm) / 2
        for one in first.outlines
        for other in second.outlines
    )


def _lesion_rows(group: Sequence[Mark], readers: int) -> list[dict[str, object]]:
    """Contract rows of one lesion, one per slice, by ascending z."""
    marking = {mark.reader for mark in group}
    ratings = [mark.malignancy for mark in group if mark.malignancy is not None]
    label = f"lung nodule, {len(marking)} of {readers} readers, " + (
        f"mean malignancy {np.mean(ratings):.2f} of 5" if ratings else "below 3 mm"
    )
    by_slice: dict[float, dict[int, Outline]] = {}
    for mark in group:
        for outline in mark.outlines:
            by_slice.setdefault(round(outline.z_mm, 2), {})[mark.reader] = outline
    rows = []
    for z_mm, outlines in sorted(by_slice.items()):
        if len(outlines) < CONSENSUS * len(marking):
            continue
        marked = [(each.x_mm, each.y_mm, each.diameter_mm) for each in outlines.values()]
        x, y, diameter = np.mean(marked, axis=0).tolist()
        place = {"z_mm": z_mm, "x_mm": round(x, 3), "y_mm": round(y, 3)}
        rows.append(place | {"diameter_mm": round(diameter, 2), "label": label})
    return rows
