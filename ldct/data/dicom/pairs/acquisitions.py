"""Several series or acquisitions among the slices of one patient and dose: told, chosen, refused.

One AcquisitionNumber for every table position is usual (step and shoot), and so are series that
lie one beyond the other. Where they lie among each other, only the user knows which is meant.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ldct.data.dicom.header import FRAME, SliceHeader

SHORTEST_ENDING = 4  # characters of a SeriesInstanceUID
LISTED = 4
# Key of a patient in the description to field of a header.
FIELDS = {"acquisition": "acquisition", "series_uid": "series"}
Group = list[SliceHeader]


def choose(
    patient: str, slices: Sequence[SliceHeader], entry: Mapping[str, Any], doses: Sequence[str]
) -> tuple[tuple[SliceHeader, ...], list[str]]:
    """The slices that `acquisition` and `series_uid` of the patient's entry name, and problems.

    Each is one value or a list. A dose with a single acquisition or series is kept as it is.
    """
    problems = []
    for key in FIELDS:
        wanted = entry.get(key, [])
        wanted = tuple(wanted) if isinstance(wanted, list) else (wanted,)
        kept: Group = []
        matched = not wanted
        for dose in doses:
            own = [header for header in slices if header.dose == dose]
            found = [header for header in own if not wanted or _matches(header, key, wanted)]
            matched = matched or bool(found)
            several = len({getattr(header, FIELDS[key]) for header in own}) > 1
            if several and not found:
                problems.append(_not_there(patient, key, wanted, dose, own))
            kept += found or own
        if not matched and not problems:
            problems.append(_not_there(patient, key, wanted, " and ".join(doses), slices))
        slices = kept
    return tuple(slices), problems


def several(slices: Iterable[SliceHeader], dose: str) -> str | None:
    """A note on the series and acquisitions of one dose where there is more than one."""
    own = [header for header in slices if header.dose == dose]
    groups = _groups(own)
    if len(groups) < 2:
        return _repeated(own, dose)
    endings = _endings(groups)
    counts = {"series": len(endings), "acquisitions": len({number for _, number in groups})}
    told = " and ".join(f"{count} {what}" for what, count in counts.items() if count > 1)
    return f"{dose} dose: {told}: {_listed(groups, endings)}"


def _repeated(slices: Group, dose: str) -> str | None:
    """A note where most InstanceNumbers of files stand at several positions, as of two scans."""
    places = {(each.instance, round(each.along_mm, 2)) for each in slices if FRAME not in each.path}
    counts = Counter(number for number, _ in places)
    several = [number for number, count in counts.items() if count > 1]
    if len(several) < 2 or 2 * len(several) < len(counts):
        return None
    return (
        f"{dose} dose: {len(several)} InstanceNumbers stand at several positions each (first: "
        f"{slices[0].path}): TWO SCANS IN ONE? Neither AcquisitionNumber nor SeriesInstanceUID "
        f"tells them apart; if they are two, take the files of one away"
    )


def overlap(patient: str, slices: Sequence[SliceHeader], dose: str) -> str | None:
    """A problem where series or acquisitions of one dose lie among each other, with its remedy."""
    groups = _groups(header for header in slices if header.dose == dose)
    ordered = sorted(groups, key=lambda group: min(_positions(groups[group])))
    among = None
    for count, later in enumerate(ordered[1:], start=1):
        before = max(ordered[:count], key=lambda each: max(_positions(groups[each])))
        if min(_positions(groups[later])) <= max(_positions(groups[before])):
            among = before, later
            break
    if among is None:
        return None
    endings = _endings(groups)
    (uid, number), (later_uid, later_number) = among
    remedy = f'series_uid: "{endings[uid or later_uid]}"'
    if number != later_number:
        remedy = f"acquisition: {later_number if number is None else number}"
    return (
        f"{patient}: the {dose} dose holds several scans of the same place: "
        f"{_listed(groups, endings)}; set `{remedy}` for {patient} under `patients` in the "
        f"description"
    )


def _groups(slices: Iterable[SliceHeader]) -> dict[tuple[str, int | None], Group]:
    groups: dict[tuple[str, int | None], Group] = {}
    for header in slices:
        groups.setdefault((header.series, header.acquisition), []).append(header)
    return groups


def _listed(
    groups: Mapping[tuple[str, int | None], Group], endings: Mapping[str, str], key: str = ""
) -> str:
    """The groups in words: acquisition, end of the series UID, where, how many, a file.

    key : `series_uid` where the series are asked for.
    """
    texts, numbered = [], any(number is not None for _, number in groups)
    for (uid, number), group in list(groups.items())[:LISTED]:
        names = ["no AcquisitionNumber" if number is None else f"acquisition {number}"] * numbered
        if len(endings) > 1 or key == "series_uid" or not names:
            names.append(f"series ...{endings[uid]}" if uid else "no SeriesInstanceUID")
        z = [header.z_mm for header in group]
        texts.append(
            f"{', '.join(names)} ({len(group)} slices, z {min(z):g} to {max(z):g} mm, "
            f"first {group[0].path})"
        )
    more = len(groups) - LISTED
    return "; ".join(texts) + (f"; and {more} more" if more > 0 else "")


def _endings(groups: Iterable[tuple[str, int | None]]) -> dict[str, str]:
    """The shortest ends of the series UIDs that tell them apart."""
    uids = list(dict.fromkeys(uid for uid, _ in groups))
    length = SHORTEST_ENDING
    while length < max(map(len, uids)) and len({uid[-length:] for uid in uids}) < len(uids):
        length += 1
    return {uid: uid[-length:] for uid in uids}


def _matches(header: SliceHeader, key: str, wanted: tuple[Any, ...]) -> bool:
    if key == "series_uid":
        return header.series.endswith(wanted)
    return header.acquisition in wanted


def _not_there(
    patient: str, key: str, wanted: tuple[Any, ...], dose: str, own: Sequence[SliceHeader]
) -> str:
    groups = _groups(own)
    return (
        f"{patient}: `{key}` of the description is {', '.join(map(str, wanted))}, but the {dose} "
        f"dose holds {_listed(groups, _endings(groups), key)}; name one of "
        f"these in `{key}`, a list where each dose has its own"
    )


def _positions(group: Iterable[SliceHeader]) -> list[float]:
    return [header.along_mm for header in group]
