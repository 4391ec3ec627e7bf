"""Public series: found or fetched by SeriesInstanceUID, cut to the slices in use, checked."""

import csv
import re
import shutil
import sys
from types import ModuleType

import pydicom
import pytest
import yaml
from lookalike import edit_file, write_lookalike_tree
from repository_files import REPOSITORY
from workflow_runs import snakemake

from ldct.cli import main
from ldct.common.errors import InputError
from ldct.configuration.folds import resolve_folds
from ldct.data import public_series
from ldct.data.public_series import COLUMNS, pixels_sha256

PATIENTS = ("R01-001", "113_HM10395", "A.B")
UIDS = {"R01-001": "1.2.1", "113_HM10395": "1.2.2", "A.B": "1.2.3"}
OPEN = REPOSITORY / "config/datasets/open.yaml"


@pytest.fixture
def archive(tmp_path):
    """Whole series of three patients, six slices each; slices 1 to 4 are in use."""
    tree = write_lookalike_tree(tmp_path / "made", patients=PATIENTS, size=32)
    rows = []
    for patient in PATIENTS:
        files = tree.files[patient]["full"]
        for dose, uid in (("full", UIDS[patient]), ("quarter", "9.9")):
            for path in tree.files[patient][dose]:
                edit_file(path, SeriesInstanceUID=uid)
        uid, z = UIDS[patient], tree.z_mm
        row = [patient, f"TCIA {patient}", uid, "C", "10.7937/X", "CC BY 3.0", 4, z[1], z[4]]
        rows.append([*row, pixels_sha256(files[1:5])])
    write_manifest(tmp_path / "manifest.csv", rows)
    return tree


def write_manifest(path, rows):
    with path.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream).writerows([COLUMNS, *rows])


def fetch(place, patient, *more):
    words = ["fetch-open", "--manifest", str(place / "manifest.csv"), "--patient", patient]
    words += ["--downloads", str(place / "downloads"), "--output", str(place / "dicom" / patient)]
    return main([*words, *more])


def laid(place, patient):
    """Positions of the files of a patient, in the order of their names."""
    files = sorted((place / "dicom" / patient).iterdir())
    assert [file.name for file in files] == [f"{n:04d}.dcm" for n in range(1, len(files) + 1)]
    return [float(pydicom.dcmread(file).ImagePositionPatient[2]) for file in files]


@pytest.fixture
def commons(monkeypatch, archive):
    """A package idc-index with the one call that is used; what it was asked for."""
    asked = []

    class IDCClient:
        @classmethod
        def client(cls):
            return cls()

        def download_dicom_series(self, uid, folder, **options):
            asked.append(uid)
            patient = next(name for name, own in UIDS.items() if own == uid)
            for number, path in enumerate(archive.files[patient]["full"]):
                shutil.copyfile(path, f"{folder}/{number}.dcm")

    module = ModuleType("idc_index")
    module.IDCClient = IDCClient
    monkeypatch.setitem(sys.modules, "idc_index", module)
    return asked


@pytest.mark.parametrize("patient", PATIENTS)
@pytest.mark.parametrize("folder", [".", "{patient}", "TCIA {patient}"])
def test_slices_in_use_are_taken_out_of_any_folder(tmp_path, archive, patient, folder):
    source = tmp_path / "own"
    shutil.copytree(tmp_path / "made", source / folder.format(patient=patient))
    (source / "README.txt").write_text("not DICOM")
    assert fetch(tmp_path, patient, "--source", str(source)) == 0
    assert laid(tmp_path, patient) == list(archive.z_mm[1:5])
    assert not (tmp_path / "downloads").exists()


def test_series_is_fetched_once_and_continued_where_it_broke(tmp_path, archive, commons):
    for _ in range(2):
        assert fetch(tmp_path, "A.B") == 0
        assert laid(tmp_path, "A.B") == list(archive.z_mm[1:5])
        shutil.rmtree(tmp_path / "dicom")
    assert commons == ["1.2.3"]
    (tmp_path / "downloads/A.B/2.dcm").unlink()
    assert fetch(tmp_path, "A.B") == 0
    assert commons == ["1.2.3"] * 2


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (ImportError, r"idc-index is not installed: pip install idc-index==[\d.]+, or put its DIC"),
        (OSError("no such host\nat all"), "no such host at all, or put"),
        (ValueError("No data found for the SeriesInstanceUID"), "No data found for"),
        (None, "the download ended without them: try again with a network, or put"),
    ],
)
def test_offline_message_says_in_one_line_what_to_put_where(
    tmp_path, archive, monkeypatch, capsys, call, expected
):
    def fail(uid, folder):
        if call:
            raise call

    monkeypatch.setattr(public_series, "download_series", fail)
    assert fetch(tmp_path, "R01-001") == 1
    (line,) = capsys.readouterr().err.splitlines()
    words = ["found 0 of 4 slices of the series 1.2.1; ", str(tmp_path / "downloads/R01-001")]
    for part in (expected, *map(re.escape, [*words, "doi:10.7937/X", "dataset_root=FOLDER"])):
        assert re.search(part, line), line
    assert not (tmp_path / "dicom").exists()


def test_the_package_is_the_one_that_is_pinned():
    assert f'open = ["{public_series.PACKAGE}"]' in (REPOSITORY / "pyproject.toml").read_text()


def test_other_pixels_are_refused(tmp_path, archive, capsys):
    path = archive.files["A.B"]["full"][2]
    dataset = pydicom.dcmread(path)
    dataset.PixelData = bytes(len(dataset.PixelData))
    dataset.save_as(path)
    assert fetch(tmp_path, "A.B", "--source", str(tmp_path / "made")) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert re.search(r"made/.*sha256 of the pixels of A.B is \w+, expected \w+; remove", line)
    assert not (tmp_path / "dicom").exists()


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([], "missing patient, PatientID"),
        ([["P2", *"abcde", 4, 0, 1, "f"]], "found P1 in 0 rows"),
        ([["P1", *"abcde", 4, 0, 1, "f"]] * 2, "found P1 in 2 rows"),
        ([["P1", *"abcde", 4, "low", 1, "f"]], "column 'z_first_mm': found 'low'"),
        ([["P1", *"abcde", 4]], "missing z_first_mm, z_last_mm, sha256"),
    ],
)
def test_bad_manifest_is_one_line(tmp_path, rows, expected):
    write_manifest(tmp_path / "manifest.csv", rows)
    with pytest.raises(InputError, match=re.escape(expected)):
        public_series.read_series(tmp_path / "manifest.csv", "P1")


def test_every_open_patient_is_listed_and_credited_with_its_licence():
    description = yaml.safe_load(OPEN.read_text(encoding="utf-8"))
    for patient, entry in description["patients"].items():
        assert patient in description["credit"]
        if "origin" in entry:
            assert entry["origin"] in description["credit"]
            continue
        row = public_series.read_series(OPEN.parent / description["manifest"], patient)
        assert int(row["slices"]) == entry["slices"]
        (line,) = [text for text in description["credit"].split("; ") if row["DOI"] in text]
        assert patient in line and row["PatientID"] in line and row["licence"] in line
    noisy = {name for name, entry in description["patients"].items() if "apart" in entry}
    folds = resolve_folds({"cross_validation": {"folds": 3}}, description)
    assert max(len(noisy & set(fold["test"])) for fold in folds.values()) == 1


def test_open_run_fetches_what_is_not_there_and_credits_every_report(tmp_path):
    configfile = str(REPOSITORY / "config/open.yaml")
    arguments = ("-n", "-p", "--snakefile", str(REPOSITORY / "Snakefile"))
    said = snakemake(tmp_path, *arguments, configfiles=(configfile,)).stdout
    counts = dict(re.findall(r"^(\w+) +(\d+)$", said, re.MULTILINE))
    expected = {"fetch_demo": 1, "fetch_open": 7, "write_demo_patient": 4, "write_volume": 11}
    assert {name: int(counts.get(name, 0)) for name in expected} == expected
    calls = [line for line in said.splitlines() if "python -m ldct --log" in line]
    credited = {"table1", "metrics-table", "texture-report", "draw-lesion-bench", "claims"}
    for verb in credited | {"draw-lesion-panels"}:
        (call,) = [line for line in calls if re.search(rf"--log \S+ {verb} ", line)]
        assert "R01-001, C3L-00189: noisy reference" in call or verb == "claims"
        assert "doi:10.7937/K9/TCIA.2017.7HS46ERV, CC BY 3.0" in call
