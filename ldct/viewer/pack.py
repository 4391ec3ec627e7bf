"""Slices for the page, chosen by rule: whole HU of all methods, small enough to be mailed."""

import base64
import gzip
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ldct.common.files import write_text
from ldct.common.inputs import read_volume_info
from ldct.common.progress import track
from ldct.common.provenance import recorded
from ldct.data.lesions import read_lesions
from ldct.lesions.panels import Case, lesion_mark, second_window
from ldct.lesions.places import lesion_roi, lesion_rows
from ldct.metrics.protocol import Protocol
from ldct.rendering.numbers import counted
from ldct.rendering.slices import Roi, different_rows, load_slice
from ldct.rendering.windows import WINDOWS

MEGABYTE = 1e6
HU = np.iinfo(np.int16)


@dataclass(frozen=True)
class Place:
    """A slice of a test-set folder, or a crop of it around a lesion.

    rank : those of the lowest are packed first; region : what scores are told of at first.
    """

    case: Case
    info: Mapping[str, Any]
    row: int
    rank: int
    crop: Roi
    region: Roi
    lesion: Mapping[str, Any] | None = None


def pack_slices(
    cases: Sequence[Case],
    lesions_csv: str | Path,
    protocol: Protocol,
    context: str,
    output: str | Path,
    crop: int = 192,
    slices: int = 1,
    megabytes: float = 10.0,
) -> None:
    """Write the slices that the page shows as JSON, and print their number and size.

    Every lesion slice as a crop, and whole slices at even distances. What does not fit is left out
    and told: the first whole slice of each patient comes first, then the middle slice of each
    lesion, then other lesion slices, then other whole slices.

    cases, lesions_csv : as for `render_lesion_panels`. protocol : of the scores in the page.
    crop : least side of a crop, pixels. slices : whole slices of each patient.
    megabytes : limit of the file, 10^6 bytes; the first slice is packed whatever its size.
    """
    output = Path(output)
    used = [path for _, predictions in cases for path in predictions.values()]
    settings = {"crop": crop, "slices": slices, "megabytes": megabytes, "protocol": protocol.name}
    with recorded([output], [lesions_csv, *used], settings):
        lesions = read_lesions(lesions_csv)
        places = [p for case in cases for p in _places(case, lesions, crop, slices)]
        head = {
            "context": context,
            "protocol": protocol_of_page(protocol),
            "windows": {f"protocol {protocol.name}": protocol.window} | WINDOWS,
            "left_out": 0,
        }
        packed = _packed(places, protocol, megabytes * MEGABYTE - len(json.dumps(head)))
        head["left_out"] = len(places) - len(packed)
        text = json.dumps({**head, "slices": packed}, ensure_ascii=False)
        write_text(output, text)
    left_out = f", {head['left_out']} left out (viewer.megabytes)" if head["left_out"] else ""
    size = f"{len(text.encode()) / MEGABYTE:.1f} of {megabytes:g} MB"
    print(f"viewer: {counted(len(packed), 'view')}{left_out}, {size}", file=sys.stderr)


def protocol_of_page(protocol: Protocol) -> dict[str, Any]:
    """What the script needs to score a region as `ldct.metrics.pixelwise` does.

    weights : of SSIM's window along one axis; they sum to 1. covariance : factor of variances,
    n / (n - 1) where the protocol takes the sample covariance.
    """
    side = protocol.ssim.side
    if protocol.ssim.kind == "uniform":
        weights, covariance = np.ones(side), side**2 / (side**2 - 1)
    else:
        from_centre = np.arange(side) - side // 2
        weights, covariance = np.exp(-0.5 * (from_centre / protocol.ssim.extent) ** 2), 1.0
    return {
        "text": protocol.describe(),
        "window": protocol.window,
        "clip": protocol.clip,
        "psnr_range": protocol.psnr_range,
        "ssim_range": protocol.ssim_range,
        "weights": (weights / weights.sum()).tolist(),
        "covariance": covariance,
    }


def _places(case: Case, lesions: Any, crop: int, slices: int) -> Iterator[Place]:
    """All lesion slices of a patient, then whole slices at even distances."""
    folder = Path(case[0])
    info, shape = read_volume_info(folder), np.load(folder / "full.npy", mmap_mode="r").shape
    found = lesion_rows(lesions, info)
    for lesion, row in found:
        own = [r for other, r in found if other["lesion"] == lesion["lesion"]]
        rank = 1 if row == own[len(own) // 2] else 2
        roi, region = (lesion_roi(lesion, info, shape[1:], *least) for least in ([crop], []))
        yield Place(case, info, row, rank, roi, region, lesion)
    rows = different_rows(folder) or range(shape[0])
    whole = (0, shape[1], 0, shape[2])
    chosen = {rows[(2 * n + 1) * len(rows) // (2 * slices)] for n in range(slices)}
    for n, row in enumerate(sorted(chosen)):
        yield Place(case, info, row, 3 if n else 0, whole, whole)


def _packed(places: Sequence[Place], protocol: Protocol, limit: float) -> list[dict[str, Any]]:
    """As many slices as fit into so many bytes, in the order of `places`."""
    by_rank = sorted(range(len(places)), key=lambda n: places[n].rank)
    found: dict[int, dict[str, Any]] = {}
    for n in track(by_rank, "slices for the page"):
        entry = _entry(places[n], protocol)
        limit -= len(json.dumps(entry))
        if found and limit < 0:
            break
        found[n] = entry
    return [found[n] for n in sorted(found)]


def _entry(place: Place, protocol: Protocol) -> dict[str, Any]:
    top, bottom, left, right = place.crop
    index, z_mm = place.info["slice_index"][place.row], place.info["z_mm"][place.row]
    patient, lesion = place.info["patient"], place.lesion
    images = {
        title: whole_hu(image[top:bottom, left:right])
        for title, image in load_slice(*place.case, place.row).items()
    }
    title = f"{patient}, slice {index}, z = {z_mm:.1f} mm".replace("-", "−")
    mark, second = None, None
    if lesion is None:
        title += ": whole slice"
    else:
        mark = lesion_mark(lesion, place.info, place.crop)
        second = second_window(images["NDCT"], lesion, place.info, place.crop, protocol.window)
        mark = (mark[0] + left, mark[1] + top, mark[2])
        title += f": lesion {lesion['lesion']}, {lesion['diameter_mm']:.1f} mm across"
    return {
        "id": f"{patient}_{lesion['lesion']}_{index:04d}" if lesion else f"{patient}_{index:04d}",
        "title": title,
        "crop": place.crop,
        "region": place.region,
        "mark": mark,
        "second": second,
        "images": {title: encode(image, images["LDCT"]) for title, image in images.items()},
    }


def whole_hu(image: np.ndarray) -> np.ndarray:
    """HU rounded to whole numbers, int16."""
    return np.clip(np.rint(image), HU.min, HU.max).astype(np.int16)


def encode(image: np.ndarray, ldct: np.ndarray) -> dict[str, Any]:
    """An image as text: differences to the neighbouring pixel, or to LDCT, the smaller of the two.

    image, ldct : (rows, columns), int16 HU. Differences wrap around as int16 does; their signs are
    folded (0, -1, 1, -2, ... as 0, 1, 2, 3, ...), low bytes stand before high bytes, gzip, base64.
    """
    alone = _compressed(np.diff(image.ravel(), prepend=np.int16(0)))
    beside = _compressed((image - ldct).ravel())
    to_ldct = image is not ldct and len(beside) < len(alone)
    data = base64.b64encode(beside if to_ldct else alone).decode("ascii")
    return {"to_ldct": to_ldct, "data": data}


def _compressed(differences: np.ndarray) -> bytes:
    folded = ((differences << 1) ^ (differences >> 15)).astype("<u2").view(np.uint8)
    return gzip.compress(folded.reshape(-1, 2).T.tobytes(), 9, mtime=0)


def decode(entry: Mapping[str, Any], shape: tuple[int, int], ldct: np.ndarray) -> np.ndarray:
    """The image that `encode` was given, (rows, columns) int16 HU."""
    planes = np.frombuffer(gzip.decompress(base64.b64decode(entry["data"])), np.uint8)
    folded = planes.reshape(2, -1).T.copy().view("<u2").ravel()
    differences = ((folded >> 1) ^ -(folded & 1)).astype(np.int16)
    if entry["to_ldct"]:
        return differences.reshape(shape) + ldct
    return np.cumsum(differences, dtype=np.int16).reshape(shape)
