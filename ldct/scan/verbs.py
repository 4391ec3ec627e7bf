"""The verb that denoises a scan of one's own."""

import argparse
import time
from pathlib import Path

from ldct.common.arguments import positive_integer
from ldct.common.files import REPOSITORY
from ldct.common.provenance import recorded
from ldct.devices.torch_build import DEVICES

PROTOCOLS = REPOSITORY / "config/protocols"
NOTICE = "For research only, not for diagnosis."


def register(verbs: argparse._SubParsersAction) -> None:
    """Add the verb to the parser."""
    scan = verbs.add_parser(
        "denoise",
        help="denoise a CT scan of your own, DICOM or NIfTI",
        description=f"Any CT series, or folder of series, in; derived series out. {NOTICE}",
    )
    scan.add_argument("input", type=Path, metavar="INPUT", help="DICOM file or folder, or .nii.gz")
    scan.add_argument("output", type=Path, metavar="OUTPUT", help="new folder, or .nii.gz")
    scan.add_argument("--method", default="proposed", help="name of a method (proposed)")
    scan.add_argument(
        "--weights",
        default="reference",
        metavar="reference|RUN|FOLDER",
        help="those that come with the suite, a run of results/, or a folder (reference)",
    )
    scan.add_argument("--training", help="of a run with several: 0, or fold3-0")
    scan.add_argument("--path", type=Path, nargs="+", default=[], help="folders of further methods")
    scan.add_argument("--reference", type=Path, help="full dose of the same scan: scores")
    scan.add_argument(
        "--protocol", nargs="+", default=["abdomen"], help="of the scores: files, or names"
    )
    scan.add_argument("--device", choices=DEVICES, default="auto")
    scan.add_argument("--workers", type=positive_integer, help="processor cores (all)")
    scan.set_defaults(run=run_denoise)


def run_denoise(options: argparse.Namespace) -> None:
    """Write the derived series, and print scores where there is a reference."""
    from ldct.devices.choice import hold_device, limit_threads, usable_cores
    from ldct.metrics.protocol import load_protocols
    from ldct.scan.applying import Engine
    from ldct.scan.method import find_method
    from ldct.scan.nifti import is_nifti
    from ldct.scan.scan import check_places, denoise_dicom, denoise_nifti, tell

    check_places(options.input, options.output)
    protocols = load_protocols([_protocol_file(each) for each in options.protocol])
    method = find_method(options.method, options.weights, options.training, options.path)
    began = time.perf_counter()
    for line in (NOTICE, *method.told()):
        tell(line)
    record = {"method": vars(method.maker), "protocols": options.protocol}
    denoise = denoise_nifti if is_nifti(options.input) else denoise_dicom
    with (
        recorded([options.output], [options.input], record),
        hold_device(options.device, gpus=1) as device,
    ):
        engine = Engine(device, limit_threads(options.workers or usable_cores()))
        places = options.input, options.output
        scored = denoise(*places, method, engine, options.reference, protocols)
    tell(f"wrote {options.output} in {time.perf_counter() - began:.0f} s")
    for table in scored:
        print(table.to_string(index=False, float_format="{:.4g}".format))


def _protocol_file(name: str) -> Path:
    known = PROTOCOLS / f"{name}.yaml"
    return known if known.is_file() else Path(name)
