"""From a file back to its sources, along the provenance records that lie beside the files."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from ldct.common.files import read_json, sha256_of_file
from ldct.common.provenance import RECORD_SUFFIX, record_path

# Files that one command writes together have one record, beside the main one.
MAIN_FILES = {
    "full.npy": "volume.json",
    "quarter.npy": "volume.json",
    "history.csv": "weights.safetensors",
    "inventory.md": "index.parquet",
}
State = Literal["as recorded", "changed", "missing", "by size", "not recorded", "folder"]


@dataclass
class Link:
    """One file behind a result.

    path : as the records name it. record : what made it, if that is known. needed_by : files made
    from it. state : its content now against all records that name it: "by size" where it was too
    large to be hashed. changed_since : the files whose records name another content. found : its
    sha256 or size now.
    """

    path: str
    needed_by: list[str] = field(default_factory=list)
    record: Mapping[str, Any] | None = None
    state: State = "not recorded"
    changed_since: list[str] = field(default_factory=list)
    found: Mapping[str, Any] = field(default_factory=dict)
    expected: dict[str, Mapping[str, Any]] = field(default_factory=dict)


def trace(outputs: Iterable[str | Path], root: Path) -> list[Link]:
    """Every file behind `outputs` that a record names, the outputs first, each once.

    root : folder that relative paths in the records start from: where the workflow ran.
    """
    links: dict[str, Link] = {}
    waiting = [(str(output), None, None) for output in outputs]
    while waiting:
        path, user, expected = waiting.pop(0)
        new = path not in links
        link = links.setdefault(path, Link(path))
        if user is not None:
            link.needed_by.append(user)
            link.expected[user] = expected
        if new:
            link.record = find_record(place_of(root, path))
            waiting += _inputs(link, root)
    for link in links.values():
        _compare(link, root)
    return list(links.values())


def _inputs(link: Link, root: Path) -> list[tuple[str, str, Mapping[str, Any]]]:
    if link.record is not None:
        return [(name, link.path, content) for name, content in link.record["inputs"].items()]
    folder = place_of(root, link.path)
    if not folder.is_dir():
        return []
    # A folder of folders with a record each: the DICOM files of a simulated data set.
    made = sorted(folder.glob(f"*{RECORD_SUFFIX}"))
    names = [record.name.removesuffix(RECORD_SUFFIX) for record in made]
    return [(str(Path(link.path, name)), link.path, {"folder": True}) for name in names]


def place_of(root: Path, path: str) -> Path:
    """Where a path of a record or of config.yaml lies. root : the folder where the run was made."""
    return root / Path(path).expanduser()


def find_record(path: Path) -> Mapping[str, Any] | None:
    """Record of a file: its own, or that of the main file written by the same command."""
    for main in (path, path.with_name(MAIN_FILES.get(path.name, path.name))):
        if record_path(main).is_file():
            return read_json(record_path(main))
    return None


def _compare(link: Link, root: Path) -> None:
    """Set state, content now, and since when it differs."""
    path = place_of(root, link.path)
    expected = dict(link.expected)
    if link.record is not None and link.record["output"] == path.name:
        expected[link.path] = link.record.get("content", {})
    if path.is_dir():
        link.state = "folder"
        return
    if not path.is_file():
        link.state = "missing"
        return
    hashed = not any("bytes" in content for content in expected.values())
    size = path.stat().st_size
    link.found = {"sha256": sha256_of_file(path)} if hashed else {}
    link.found["bytes"] = size
    known = {
        user: content for user, content in expected.items() if {"sha256", "bytes"} & set(content)
    }
    link.changed_since = [
        user
        for user, content in known.items()
        if any(link.found.get(key) != value for key, value in content.items())
    ]
    if link.changed_since:
        link.state = "changed"
    elif known:
        link.state = "as recorded" if hashed else "by size"
