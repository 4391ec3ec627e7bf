"""The paper's data at full size, made up: memory and minutes until training.

    python benchmarks/scale.py --folder /tmp/scale --cores 2

Writes 5,936 slice pairs of 512 x 512 as sparse DICOM files (1.6 GB on the disk, 6.2 GB to read)
where `dataset: aapm` looks for them, and runs the workflow's own rules on them: 6.2 GB of volumes.
Everything is removed in the end. DICOM reading is timed beside plain pydicom, in as many processes.
"""

import argparse
import multiprocessing
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import psutil
import pydicom
import yaml

from ldct.data.dicom.aapm_writer import Scan, write_series
from ldct.data.dicom.pixels import pixel_digest, read_slice, slice_hu
from ldct.data.volumes import read_index, write_volume

REPOSITORY = Path(__file__).resolve().parents[1]
CHECKOUT = ("Snakefile", "workflow", "ldct", "methods", "config", "profiles", "notebooks")
CONFIG = ("--configfile", "config/paper.yaml")
PATIENTS = yaml.safe_load((REPOSITORY / "config/datasets/aapm.yaml").read_text())["patients"]
SIDE, BAND, BLOCK, MEBI = 512, slice(192, 320), 4096, 2**20
ROUNDS = 3


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, required=True, help="new; removed in the end")
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--share", type=float, default=1.0, help="of each patient's slices")
    options = parser.parse_args()
    options.folder.mkdir(parents=True)
    try:
        measure(options.folder, options.cores, options.share)
    finally:
        shutil.rmtree(options.folder)


def measure(folder: Path, cores: int, share: float) -> None:
    """Write the data, run the rules up to the tile table, plan the run, read DICOM."""
    for name in CHECKOUT:
        source = REPOSITORY / name
        (shutil.copytree if source.is_dir() else shutil.copy2)(source, folder / name)
    shutil.copy2(REPOSITORY / "environment.yml", folder)
    started = time.perf_counter()
    files = sum(write_patient(folder / "data/aapm/dicom", name, share) for name in PATIENTS)
    print(f"{files} DICOM files written in {time.perf_counter() - started:.0f} s", flush=True)
    volumes = [f"data/aapm/volumes/{name}/volume.json" for name in PATIENTS]
    run = ["--cores", str(cores), "--quiet", "all"]
    for title, arguments in {
        "first dry run": ["-n", "--quiet", "all"],
        "index": ["data/aapm/index.parquet", *run],
        "volumes": [*volumes, *run],
        "tiles": ["data/aapm/tiles.npy", *run],
        "dry run with data": ["-n", "--quiet", "all"],
    }.items():
        report(title, ["snakemake", *arguments, *CONFIG], folder)
    pretend_rest(folder)
    report("no-op", ["snakemake", "--cores", "1", *CONFIG], folder)
    if "Nothing to be done" not in (folder / "printed.txt").read_text():
        sys.exit("found jobs, expected none: the no-op is none")
    compare_reading(folder, cores)


def write_patient(root: Path, patient: str, share: float) -> int:
    """Write both doses of a patient: a band of noisy tissue, air around it; the number of files."""
    slices = max(2, round(share * PATIENTS[patient]["slices"]))
    rng = np.random.default_rng(sum(map(ord, patient)))
    noise = rng.normal(0, 15, (2, BAND.stop - BAND.start, SIDE))
    hu = np.full((2, slices, SIDE, SIDE), -1024, np.int16)
    for number in range(slices):
        tissue = 40 + np.roll(noise, number, axis=-1)
        hu[0, number, BAND] = tissue[0]
        hu[1, number, BAND] = tissue.sum(axis=0) - 40
    z_mm = [0.8 * number for number in range(slices)]
    for dose, image in zip(("full", "quarter"), hu, strict=True):
        scan = Scan(image, z_mm, (-190.0, -190.0), (0.742, 0.742), thickness_mm=1.0, kernel="B30f")
        for path in write_series(scan, patient, dose, root / patient):
            make_sparse(path)
    return 2 * slices


def make_sparse(path: Path) -> None:
    """Give the file's blocks of zeros back to the disk."""
    content = path.read_bytes()
    with path.open("wb") as stream:
        for start in range(0, len(content), BLOCK):
            block = content[start : start + BLOCK]
            if block.strip(b"\0"):
                stream.seek(start)
                stream.write(block)
        stream.truncate(len(content))


def report(title: str, command: Sequence[str], folder: Path) -> None:
    """Run a command of Python's; print its time, and the most memory of all its processes."""
    started, peak, printed = time.perf_counter(), 0, folder / "printed.txt"
    cpu = cpu_seconds()
    process = subprocess.Popen(
        [sys.executable, "-m", *command],
        cwd=folder,
        stdout=printed.open("w"),
        stderr=subprocess.STDOUT,
    )
    watched = psutil.Process(process.pid)
    while process.poll() is None:
        peak = max(peak, memory_of(watched))
        time.sleep(0.5)
    seconds = time.perf_counter() - started
    if process.returncode:
        sys.exit(f"{title} failed: {printed.read_text()[-2000:]}")
    cpu = cpu_seconds() - cpu
    print(f"{title:28s} {seconds:8.1f} s {cpu:8.1f} CPU-s {peak / MEBI:8.0f} MiB", flush=True)


def cpu_seconds() -> float:
    """Processor time of all processes that this one started and that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def memory_of(process: psutil.Process) -> int:
    """Bytes in memory of a process and its children, pages of mapped files among them."""
    total = 0
    try:
        for each in [process, *process.children(recursive=True)]:
            total += each.memory_info().rss
    except psutil.NoSuchProcess:
        pass
    return total


def pretend_rest(folder: Path) -> None:
    """Make all other outputs, empty, and let Snakemake take them for its own."""
    call = [sys.executable, "-m", "snakemake"]
    summary = subprocess.run(
        [*call, "--summary", *CONFIG], cwd=folder, capture_output=True, text=True, check=True
    )
    rows = [line.split("\t") for line in summary.stdout.splitlines()]
    for path in (folder / row[0] for row in rows if len(row) == 6 and row[0] != "output_file"):
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch() if path.suffix else path.mkdir()
    print(f"{len(rows)} files of the run", flush=True)
    touch = [*call, "--touch", "--forceall", "--cores", "1", "--quiet", "all", *CONFIG]
    subprocess.run(touch, cwd=folder, check=True, capture_output=True)


def compare_reading(folder: Path, processes: int) -> None:
    """HU from DICOM, checked by their sha256, beside plain pydicom; and volumes on the disk."""
    index = read_index(folder / "data/aapm/index.parquet")
    patients = sorted(PATIENTS, key=lambda name: PATIENTS[name]["slices"])[:processes]
    jobs = [(folder, patient) for patient in patients]
    files = 2 * int(index["patient"].isin(patients).sum())
    ways: dict[str, Callable[[Path, str], float]] = {
        "ours": read,
        "pydicom": plain,
        "ours, written": write,
    }
    spent: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    with multiprocessing.get_context("spawn").Pool(processes) as pool:
        for _ in range(ROUNDS + 1):  # the first one loads libraries and files
            for name, way in ways.items():
                started = time.perf_counter()
                cpu = sum(pool.starmap(way, jobs, chunksize=1))
                spent[name].append((time.perf_counter() - started, cpu))
    best = {name: [min(column) for column in zip(*spent[name][1:], strict=True)] for name in ways}
    for name, (wall, cpu) in best.items():
        speeds = (
            f"{files / wall:6.0f} files/s in {processes} processes, {files / cpu:6.0f} per CPU-s"
        )
        print(f"{name:28s} {speeds}")
    of_wall, of_cpu = np.divide(best["pydicom"], best["ours"])
    print(f"speed of ours, of pydicom's: {of_wall:.2f}, per CPU-s {of_cpu:.2f}")


def read(folder: Path, patient: str) -> float:
    """HU of a patient's files, checked by their sha256, in arrays; seconds of the processor."""
    started = time.process_time()
    root, index = folder / "data/aapm/dicom", read_index(folder / "data/aapm/index.parquet")
    rows = index[index["patient"] == patient]
    for dose in ("full", "quarter"):
        volume = np.empty((len(rows), SIDE, SIDE), np.int16)
        files = zip(rows[f"{dose}_path"], rows[f"{dose}_sha256"], strict=True)
        for number, (path, sha256) in enumerate(files):
            dataset, frame = read_slice(root, path)
            assert pixel_digest(dataset, frame) == sha256
            volume[number] = slice_hu(dataset, frame)
    return time.process_time() - started


def write(folder: Path, patient: str) -> float:
    """Write the volume of a patient; seconds of the processor."""
    started = time.process_time()
    index = read_index(folder / "data/aapm/index.parquet")
    write_volume(index, folder / "data/aapm/dicom", patient, "aapm", folder / f"again/{patient}")
    return time.process_time() - started


def plain(folder: Path, patient: str) -> float:
    """HU of a patient's files in an array for each dose; seconds of the processor."""
    started = time.process_time()
    for dose in ("full", "quarter"):
        paths = sorted((folder / "data/aapm/dicom" / patient / f"{dose}_1mm").iterdir())
        volume = np.empty((len(paths), SIDE, SIDE), np.int16)
        for number, path in enumerate(paths):
            dataset = pydicom.dcmread(path)
            slope, intercept = float(dataset.RescaleSlope), float(dataset.RescaleIntercept)
            volume[number] = dataset.pixel_array * slope + intercept
    return time.process_time() - started


if __name__ == "__main__":
    main()
