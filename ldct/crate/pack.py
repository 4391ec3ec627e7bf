"""What of a run goes into its crate, and the archive itself: the same run, the same bytes."""

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ldct.common.errors import InputError
from ldct.common.files import REPOSITORY, atomic_path, read_json, read_yaml
from ldct.common.provenance import RECORD_SUFFIX
from ldct.crate.anonymous import clean_record, machine_folders, strings_of, without_folders
from ldct.crate.metadata import METADATA, describe

# Of a run's folder; weights and images are left out, their records are not.
PARTS = ("config.yaml", "plan.json", "index.html", "claims.*", "tables/**/*", "figures/**/*")
PARTS += ("calibration/**/*", "lesions/**/*", f"**/*{RECORD_SUFFIX}")
ABOUT = ("LICENSE", "CITATION.cff")
TEXTS = (".json", ".yaml", ".md", ".csv", ".tex", ".html")
FIRST_TIME = (1980, 1, 1, 0, 0, 0)  # of a zip archive


def write_crate(run: Path, settings: Mapping[str, Any], output: Path) -> int:
    """Write the crate of a run; returns how many files it holds.

    run : folder results/<run>. settings : its resolved configuration. output : a .zip.
    Raises InputError where the run has no table yet.
    """
    if not (run / "tables/table1.csv").is_file():
        raise InputError(f"{run}: found no tables/table1.csv, expected a finished run: finish it")
    contents = crate_files(run)
    records = {
        name.removesuffix(RECORD_SUFFIX): json.loads(content)
        for name, content in contents.items()
        if name.endswith(RECORD_SUFFIX)
    }
    described = describe(settings, contents, records)
    contents[METADATA] = json.dumps(described, indent=2, ensure_ascii=False).encode() + b"\n"
    with atomic_path(output) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for name in sorted(contents, key=lambda name: (name != METADATA, name)):
            entry = zipfile.ZipInfo(name, FIRST_TIME)
            entry.external_attr, entry.compress_type = 0o644 << 16, zipfile.ZIP_DEFLATED
            archive.writestr(entry, contents[name], compresslevel=9)
    return len(contents)


def crate_files(run: Path) -> dict[str, bytes]:
    """Path in the crate to content, texts without names of the machine; sorted."""
    paths = {path for part in PARTS for path in run.glob(part) if path.is_file()}
    found = {path.relative_to(run).as_posix(): path for path in sorted(paths)}
    found |= {name: REPOSITORY / name for name in ABOUT}
    data = [
        read_yaml(path) if path.suffix == ".yaml" else read_json(path)
        for path in paths
        if path.suffix in (".json", ".yaml")
    ]
    folders = machine_folders(text for content in data for text in strings_of(content))
    contents = {}
    for name, path in found.items():
        if name.endswith(RECORD_SUFFIX):
            contents[name] = clean_record(path.read_text(encoding="utf-8"), folders).encode()
        elif path.suffix in TEXTS:
            text = path.read_text(encoding="utf-8")
            contents[name] = without_folders(text, folders).encode()
        else:
            contents[name] = path.read_bytes()
    return contents
