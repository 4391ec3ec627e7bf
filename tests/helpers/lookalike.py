"""Tiny synthetic trees in the layouts of the AAPM and TCIA low-dose CT data (docs/data.md).

Made with pydicom alone, not with the package under test, from header facts measured on real
files. The images are bodies: an ellipse of soft tissue in a fat ring, with spine, ribs and two
lungs, noisy air around it and -1024 HU outside the circular field of view.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid
from scipy.ndimage import gaussian_filter

LAYOUTS = ("A", "B", "B_zip", "C", "D", "misspelled", "TCIA")
DOSE_CODES = {"full": "FD", "quarter": "QD"}
TCIA_WORDS = {"full": "Full Dose Images", "quarter": "Low Dose Images"}
NOISE_HU = (15.0, 30.0)  # standard deviation in soft tissue, full and quarter dose
FIELD_OF_VIEW_MM, LESION_MM = 380.0, 20.0


@dataclass(frozen=True)
class Lookalike:
    """What was written.

    files[patient][dose] : paths by ascending z. hu[patient][dose] : int16 HU of the same order.
    z_mm, origin_mm, pixel_mm : geometry, the same for all patients. lesions_csv : neutral CSV.
    """

    root: Path
    z_mm: tuple[float, ...]
    origin_mm: tuple[float, float]
    pixel_mm: tuple[float, float]
    thickness_mm: float
    kernel: str
    files: dict[str, dict[str, list[Path]]] = field(default_factory=dict)
    hu: dict[str, dict[str, np.ndarray]] = field(default_factory=dict)
    lesions_csv: Path | None = None


def write_lookalike_tree(
    root: str | Path,
    layout: str = "A",
    patients: Sequence[str] = ("L901", "L902", "L903"),
    slices: int = 6,
    size: int = 128,
    *,
    thickness_mm: float = 1.0,
    spacing_mm: float = 0.8,
    kernel: str | None = None,
    lesions: bool = False,
    vendor: str = "SIEMENS",
) -> Lookalike:
    """Write a tree of `patients` in one of LAYOUTS under `root`.

    kernel : None means B30f, and D45f in layout C. lesions : put one low-contrast lesion of 20 mm
    into the three middle slices of every patient and write `lesions_neutral.csv` beside `root`.
    vendor : "GE" writes signed pixels, PixelPaddingValue 63536 and an exterior of -3024 HU.
    """
    root = Path(root)
    kernel = kernel or ("D45f" if layout == "C" else "B30f")
    pixel = FIELD_OF_VIEW_MM / size
    corner = -FIELD_OF_VIEW_MM / 2 + pixel / 2
    z_mm = tuple(round(-300.0 + spacing_mm * index, 3) for index in range(slices))
    tree = Lookalike(
        root=root,
        z_mm=z_mm,
        origin_mm=(corner, corner),
        pixel_mm=(pixel, pixel),
        thickness_mm=thickness_mm,
        kernel=kernel,
        lesions_csv=root.parent / "lesions_neutral.csv" if lesions else None,
    )
    rows = ["patient_id,lesion_id,x,y,z,unit,slice_ref,diameter_mm,label"]
    metadata = ["Subject ID,Manufacturer,Series Description,Number of Images,File Location"]
    for number, patient in enumerate(patients):
        rng = np.random.default_rng([0, number])
        clean, (x, y) = _bodies(size, slices, rng, with_lesion=lesions)
        full = clean + _noise(clean.shape, NOISE_HU[0], rng)
        extra = float(np.sqrt(NOISE_HU[1] ** 2 - NOISE_HU[0] ** 2))
        pair = {"full": full, "quarter": full + _noise(clean.shape, extra, rng)}
        tree.files[patient], tree.hu[patient] = {}, {}
        for dose, image in pair.items():
            hu = np.where(_inside(size), np.clip(np.rint(image), -1024, 3071), -1024)
            tree.hu[patient][dose] = hu.astype(np.int16)
            folder = root / _folder(layout, patient, dose, thickness_mm)
            tree.files[patient][dose] = _write_series(tree, layout, patient, dose, folder, vendor)
            place = folder.relative_to(root).as_posix()
            metadata.append(f"{patient},{vendor},{TCIA_WORDS[dose]},{slices},./{place}")
        for index in _lesion_indices(slices):
            rows.append(f"{patient},1,{x},{y},{z_mm[index]},mm,z_mm,{LESION_MM},synthetic")
    if layout == "TCIA":
        (root / "metadata.csv").write_text("\n".join(metadata), encoding="utf-8")
    if tree.lesions_csv:
        tree.lesions_csv.write_text("\n".join(rows), encoding="utf-8")
    return tree


def lookalike_description(
    tree: Lookalike, test: Sequence[str] | None = None, **changes: object
) -> dict:
    """The tree as a data set description (the content of config/datasets/*.yaml).

    test : patients of the test split; by default the last one.
    """
    test = [list(tree.files)[-1]] if test is None else list(test)
    description = {
        "name": "lookalike",
        "title": "synthetic AAPM look-alike",
        "simulated": True,
        "root": str(tree.root),
        "series": {"thickness_mm": tree.thickness_mm, "kernel": tree.kernel[:3]},
        "patients": {
            patient: {"split": "test" if patient in test else "train", "slices": len(tree.z_mm)}
            for patient in tree.files
        },
    }
    return description | changes


def edit_file(path: Path, **tags: object) -> None:
    """Rewrite one DICOM file with some tags changed, or removed where the value is None."""
    dataset = pydicom.dcmread(path)
    for keyword, value in tags.items():
        if value is None:
            delattr(dataset, keyword)
        else:
            setattr(dataset, keyword, value)
    dataset.save_as(path)


def _folder(layout: str, patient: str, dose: str, thickness_mm: float) -> Path:
    mm = int(thickness_mm + 0.5)
    series, code = f"{dose}_{mm}mm", DOSE_CODES[dose]
    return Path(
        {
            "A": f"{patient}/{series}",
            "B": f"{mm}mm B30/{series}/{patient}/{series}",
            "B_zip": f"{code}_{mm}mm/{series}/{patient}/{series}",
            "C": f"Training_Image_Data/{mm}mm D45/{series}_sharp/{patient}/{series}_sharp",
            "D": f"{mm}mm B30/{patient}/{series}",
            "misspelled": f"Traning_Image_Data/{mm}mm B30/{series}/{patient}/{series}",
            "TCIA": f"LDCT-and-Projection-data/{patient}/1-NA-50920/1.0-{TCIA_WORDS[dose]}-70970",
        }[layout]
    )


def _write_series(
    tree: Lookalike, layout: str, patient: str, dose: str, folder: Path, vendor: str
) -> list[Path]:
    folder.mkdir(parents=True)
    images = tree.hu[patient][dose]
    sharp = "_SHARP" if layout == "C" else ""
    code = f"{patient}_{DOSE_CODES[dose]}_{int(tree.thickness_mm + 0.5)}{sharp}"
    paths = []
    for index, image in enumerate(images):
        instance = len(images) - index
        dataset = _dataset(tree, image, index, instance, f"{patient} {dose}", vendor)
        if layout == "TCIA":
            dataset.PatientName = dataset.PatientID = patient
            dataset.SeriesDescription = TCIA_WORDS[dose]
            name = f"1-{instance:03d}.dcm"
        else:
            dataset.PatientName, dataset.PatientID = code, "Anonymous"
            series = 2 if dose == "quarter" else 3
            name = f"{code}_1.CT.{series:04d}.{instance:04d}.2015.12.22.20.19.52.{index}.358.IMA"
        dataset.save_as(folder / name, enforce_file_format=True)
        paths.append(folder / name)
    return paths


def _dataset(
    tree: Lookalike, image: np.ndarray, index: int, instance: int, series: str, vendor: str
) -> Dataset:
    dataset = Dataset()
    dataset.SOPClassUID = CTImageStorage
    dataset.SOPInstanceUID = generate_uid(entropy_srcs=[series, str(instance)])
    dataset.Modality = "CT"
    dataset.Manufacturer = vendor
    dataset.RequestingPhysician = "Somebody^Real"
    dataset.SliceThickness = f"{tree.thickness_mm:g}"
    dataset.ConvolutionKernel = tree.kernel
    dataset.InstanceNumber, position = instance, (*tree.origin_mm, tree.z_mm[index])
    dataset.ImagePositionPatient = [f"{value:.10g}" for value in position]
    dataset.ImageOrientationPatient = ["1", "0", "0", "0", "1", "0"]
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.Rows, dataset.Columns = image.shape
    dataset.PixelSpacing = [f"{value:.10g}" for value in tree.pixel_mm]
    dataset.BitsAllocated, dataset.RescaleIntercept, dataset.RescaleSlope = 16, "-1024", "1"
    stored = image.astype(np.int32) + 1024
    if vendor == "GE":
        dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 15, 1
        dataset.add_new("PixelPaddingValue", "US", 63536)
        stored[~_inside(image.shape[0])] = -2000
    else:
        dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 12, 11, 0
    dataset.PixelData = stored.astype("<i2").tobytes()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return dataset


def _lesion_indices(slices: int) -> range:
    return range(max(0, slices // 2 - 1), min(slices, slices // 2 + 2))


def _bodies(
    size: int, slices: int, rng: np.random.Generator, with_lesion: bool
) -> tuple[np.ndarray, tuple[float, float]]:
    """Noise-free HU `[slice, row, column]` and the centre of the lesion (x, y) in mm."""
    axis = (np.arange(size) - (size - 1) / 2) * (FIELD_OF_VIEW_MM / size)
    y, x = np.meshgrid(axis, axis, indexing="ij")
    width, height = rng.uniform(140, 165), rng.uniform(95, 115)
    centre = -0.45 * width, 0.1 * height
    volume = np.empty((slices, size, size))
    for index in range(slices):
        taper = max(0.5, 1 - 0.01 * index)
        radius = np.hypot(x / (width * taper), y / (height * taper))
        image = np.full((size, size), -1000.0)
        image[radius < 1] = -100.0  # fat
        image[radius < 0.9] = 40.0  # soft tissue
        for side in (-1, 1):
            lung = np.hypot((x - side * 0.3 * width) / (0.22 * width), (y + 0.35 * height) / 35)
            image[lung < 0.6 + 0.02 * index] = -850.0
        image[np.hypot(x, y - 0.55 * height) < 18] = 400.0  # vertebral body
        image[np.hypot(x, y - 0.25 * height) < 11] = 150.0  # aorta
        if with_lesion and index in _lesion_indices(slices):
            image[np.hypot(x - centre[0], y - centre[1]) < LESION_MM / 2] = -10.0
        volume[index] = gaussian_filter(image, 0.5)
    return volume, centre


def _noise(shape: tuple[int, ...], std_hu: float, rng: np.random.Generator) -> np.ndarray:
    """Zero-mean noise of a given standard deviation, correlated within each slice."""
    noise = gaussian_filter(rng.standard_normal(shape), (0, 0.6, 0.6))
    return noise * (std_hu / noise.std())


def _inside(size: int) -> np.ndarray:
    axis = np.arange(size) - (size - 1) / 2
    return np.hypot(axis[:, None], axis[None, :]) <= size / 2
