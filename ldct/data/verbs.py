"""Verbs that make volumes, tiles, lesions and the test set."""

import argparse
import sys
from pathlib import Path
from typing import Any

from ldct.common.arguments import json_mapping, positive_integer
from ldct.common.errors import InputError
from ldct.common.files import write_text
from ldct.common.inputs import read_frame, read_volume_info
from ldct.common.provenance import recorded
from ldct.common.run_files import VOLUME_FILES
from ldct.common.schema import read_valid
from ldct.configuration.paths import expand_dataset


def register(verbs: argparse._SubParsersAction) -> None:
    """Add the verbs to the parser."""
    fetch = verbs.add_parser("fetch-demo", help="download the demo archives (78 MB, checked)")
    fetch.add_argument("--archives", type=Path, required=True, help="folder to keep them in")
    fetch.add_argument("--projects", nargs="*", help="those of some patients alone")
    fetch.set_defaults(run=run_fetch_demo)

    demo = verbs.add_parser("write-demo-patient", help="one demo scan as full-dose DICOM")
    demo.add_argument("--patient", required=True)
    demo.add_argument("--origin", required=True, help="public name of the scan")
    demo.add_argument("--archives", type=Path, required=True)
    demo.add_argument("--output", type=Path, required=True)
    demo.set_defaults(run=run_write_demo_patient)

    public = verbs.add_parser("fetch-open", help="one public series by its SeriesInstanceUID")
    public.add_argument("--manifest", type=Path, required=True, help="CSV of docs/data.md")
    public.add_argument("--patient", required=True)
    public.add_argument("--source", type=Path, help="folder that may have its DICOM files")
    public.add_argument("--downloads", type=Path, required=True, help="whole series are kept there")
    public.add_argument("--output", type=Path, required=True)
    public.set_defaults(run=run_fetch_open)

    index = verbs.add_parser("index", help="read every DICOM header, pair the doses, report")
    add_dataset(index, "name", "title", "root", "series", "patients")
    index.add_argument("--workers", type=positive_integer, default=1)
    index.add_argument("--index", type=Path, required=True)
    index.add_argument("--inventory", type=Path, required=True)
    index.set_defaults(run=run_index)

    volume = verbs.add_parser("volume", help="one patient's slice pairs as int16 volumes")
    add_dataset(volume, "name", "root")
    volume.add_argument("--index", type=Path, required=True)
    volume.add_argument("--patient", required=True)
    volume.add_argument("--workers", type=positive_integer, default=1)
    volume.add_argument("--files", default="", help="the patient's files in short, to be recorded")
    volume.add_argument("--output", type=Path, required=True)
    volume.set_defaults(run=run_volume)

    tiles = verbs.add_parser("tiles", help="coordinates of the training tiles")
    tiles.add_argument("--volumes", type=Path, nargs="*", required=True)
    tiles.add_argument("--size", type=positive_integer, required=True)
    tiles.add_argument("--stride", type=positive_integer, required=True)
    tiles.add_argument("--keep-above-hu", type=float, required=True)
    tiles.add_argument("--output", type=Path, required=True)
    tiles.set_defaults(run=run_tiles)

    lesions = verbs.add_parser("lesions", help="annotated lesions, one row per lesion and slice")
    lesions.add_argument("--volumes", type=Path, nargs="+", required=True)
    source = lesions.add_mutually_exclusive_group()
    source.add_argument("--archives", type=Path, help="demo archives (LIDC reader marks)")
    source.add_argument("--neutral-csv", type=Path, help="lesion list of docs/data.md")
    lesions.add_argument(
        "--patients", type=json_mapping(), default={}, help="of the data set: origin, lidc_xml"
    )
    lesions.add_argument("--output", type=Path, required=True)
    lesions.set_defaults(run=run_lesions)

    test = verbs.add_parser(
        "select-test", help="every K-th slice, and those of lesions and texture"
    )
    test.add_argument("--volume", type=Path, required=True)
    test.add_argument("--lesions", type=Path, required=True)
    test.add_argument("--squares", type=Path, help="of texture-squares")
    test.add_argument("--every", type=positive_integer, required=True)
    test.add_argument("--output", type=Path, required=True)
    test.set_defaults(run=run_select_test)


def add_dataset(parser: argparse.ArgumentParser, *keys: str) -> None:
    """Add the option that describes a data set, with at least `keys`."""

    def dataset(text: str) -> dict[str, Any]:
        if text.lstrip().startswith("{"):
            return json_mapping(*keys)(text)
        if not Path(text).is_file():
            raise argparse.ArgumentTypeError(f"found no file {text}, expected one, or a mapping")
        try:
            return expand_dataset(read_valid(text, "dataset"), text)
        except InputError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    parser.add_argument(
        "--dataset",
        type=dataset,
        required=True,
        help="file of config/datasets, or its content as JSON",
    )


def run_fetch_demo(options: argparse.Namespace) -> None:
    """Fetch the demo archives."""
    from ldct.data.demo.scans import fetch_archives

    fetch_archives(options.archives, options.projects)


def run_write_demo_patient(options: argparse.Namespace) -> None:
    """Write one demo patient as full-dose DICOM."""
    from ldct.common.files import atomic_folder
    from ldct.data.demo.scans import load_scan
    from ldct.data.dicom.aapm_writer import write_series

    archives = sorted(path for path in options.archives.iterdir() if path.stat().st_size > 0)
    record = {"origin": options.origin}
    with recorded([options.output], archives, record):
        scan = load_scan(options.origin, options.archives)
        record["description"] = scan.description
        with atomic_folder(options.output) as temporary:
            write_series(scan, options.patient, "full", temporary)


def run_fetch_open(options: argparse.Namespace) -> None:
    """Lay out the slices in use of one public series."""
    from ldct.data.public_series import lay_series, read_series

    series = read_series(options.manifest, options.patient)
    source = options.source or options.downloads
    with recorded([options.output], [options.manifest], series):
        lay_series(series, source, options.downloads, options.output)


def run_index(options: argparse.Namespace) -> None:
    """Index a data set and write its inventory."""
    from ldct.data.dicom.inventory import index_dataset
    from ldct.data.dicom.listing import digests

    dataset, root = options.dataset, options.dataset["root"]
    record = {"dataset": dataset}
    try:
        with recorded([options.index], [root], record):
            index_dataset(root, dataset, options.index, options.inventory, options.workers)
            record["listing"] = digests(root, dataset["patients"])
    except InputError as error:
        # Snakemake removes the outputs of a failed job, and the report is needed most then.
        if options.log is None or not options.inventory.is_file():
            raise
        kept = options.log.with_name("inventory.md")
        write_text(kept, options.inventory.read_text(encoding="utf-8"))  # may be the same file
        raise InputError(f"{error} (the whole report: {kept})") from None


def run_volume(options: argparse.Namespace) -> None:
    """Write one patient's volume."""
    from ldct.data.volumes import read_index, write_volume

    patient, dataset = options.patient, options.dataset
    record = {"patient": patient, "dataset": dataset["name"]}
    record |= {"description": dataset, "files": options.files}
    with recorded([options.output / "volume.json"], [options.index], record):
        index = read_index(options.index)
        names = dataset["root"], patient, dataset["name"]
        simulate = dataset.get("simulate")
        info = write_volume(index, *names, options.output, simulate, options.workers)
        record |= info.get("simulate", {})


def run_tiles(options: argparse.Namespace) -> None:
    """Write the tile table."""
    from ldct.data.tiles import write_tiles

    write_tiles(
        options.volumes, options.size, options.stride, options.keep_above_hu, options.output
    )


def run_lesions(options: argparse.Namespace) -> None:
    """Write the lesion table; without a source, an empty one."""
    import pandas as pd

    from ldct.common.inputs import open_array
    from ldct.data.lesions import (
        LESION_COLUMNS,
        convert_neutral_csv,
        doubtful_lesions,
        write_lesions,
    )
    from ldct.data.lidc import lesions_from_lidc_xml

    marks = {
        name: Path(entry["lidc_xml"])
        for name, entry in options.patients.items()
        if "lidc_xml" in entry and options.neutral_csv is None
    }
    inputs = [folder / "volume.json" for folder in options.volumes] + list(marks.values())
    inputs += [options.neutral_csv] if options.neutral_csv else []
    with recorded([options.output], inputs, {}):
        geometry = {
            folder.name: {
                **read_volume_info(folder),
                "shape": open_array(folder / "full.npy").shape[1:],
            }
            for folder in options.volumes
        }
        frames = [pd.DataFrame(columns=list(LESION_COLUMNS))]
        if options.neutral_csv is not None:
            named = options.patients.items()
            origins = {name: own["origin"] for name, own in named if "origin" in own}
            left_out = [name for name, own in named if own.get("left_out")]
            frames = [convert_neutral_csv(options.neutral_csv, geometry, origins, left_out)]
        elif options.archives is not None:
            frames = _demo_lesions(options.archives, options.patients, geometry)
        elif marks:
            frames = [
                lesions_from_lidc_xml(path.read_bytes(), geometry[name], path.name)
                for name, path in marks.items()
            ]
        found = pd.concat(frames, ignore_index=True)
        for folder in options.volumes:
            for line in doubtful_lesions(
                found, geometry[folder.name], open_array(folder / "full.npy")
            ):
                print(f"warning: {line}", file=sys.stderr)
        write_lesions(found, options.output)


def _demo_lesions(
    archives: Path, patients: dict[str, dict[str, str]], geometry: dict[str, dict[str, Any]]
) -> list:
    from ldct.data.demo.scans import LIDC_ORIGIN, read_lidc_xml
    from ldct.data.lidc import lesions_from_lidc_xml

    return [
        lesions_from_lidc_xml(read_lidc_xml(archives), geometry[name], "LIDC-IDRI")
        for name, entry in patients.items()
        if entry.get("origin") == LIDC_ORIGIN
    ]


def run_select_test(options: argparse.Namespace) -> None:
    """Write the test-set folder of one patient."""
    from ldct.data.lesions import lesion_slices, read_lesions
    from ldct.data.volumes import select_slices

    inputs = [*(options.volume / name for name in VOLUME_FILES), options.lesions]
    inputs += [options.squares] if options.squares else []
    with recorded([options.output / "volume.json"], inputs, {"every": options.every}):
        info = read_volume_info(options.volume)
        regular = range(0, len(info["z_mm"]), options.every)
        with_lesion = lesion_slices(read_lesions(options.lesions), info)
        of_texture: list[int] = []
        if options.squares is not None:
            squares = read_frame(options.squares, ("patient", "slice_index"))
            of_texture = squares[squares["patient"] == info["patient"]]["slice_index"].tolist()
        select_slices(options.volume, regular, options.output, [*with_lesion, *of_texture])
