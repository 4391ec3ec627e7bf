"""Nothing that a run makes tells who was scanned, on which machine it ran, or where files lie."""

import base64
import gzip
import io
import json
import os
import re
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import matplotlib.figure
import pandas as pd
import pydicom
import pytest
import yaml
from planted.marks import ATTRIBUTES, HOST, WORD, mark, marks_in
from planted.traces import contents, unpacked
from workflow_runs import (
    PATIENT,
    REPOSITORY,
    copy_checkout,
    edit_yaml,
    snakemake,
    write_inputs,
)

from ldct.common.provenance import HOST_SWITCH, RECORD_SUFFIX, recorded


def artefacts(folder: Path) -> list[Path]:
    """Files of data and results; logs, which may name places, are none."""
    made = [*(folder / "data").rglob("*"), *(folder / "results").rglob("*")]
    return sorted(path for path in made if path.is_file())


def machine_in(content: bytes, *folders: Path) -> set[bytes]:
    """The planted host's name, and folders of this machine as the start of a path."""
    found = {HOST.encode()} if HOST.encode() in content else set()
    for place in {*map(str, folders), str(Path.home()), sys.prefix, str(REPOSITORY)} - {"/"}:
        found |= set(re.findall(re.escape(place.encode()) + rb"(?![\w-])", content))
    return found


def texts(content: object) -> Iterator[str]:
    if isinstance(content, dict):
        for key, value in content.items():
            yield from (str(key), *texts(value))
    elif isinstance(content, list):
        for value in content:
            yield from texts(value)
    else:
        yield str(content)


def test_no_mark_host_or_folder_reaches_an_artefact(finished_run):
    """501 attributes of the confidentiality profile, private tags, an overlay, two sequences."""
    found = {}
    for path in artefacts(finished_run):
        hits = set()
        for part in contents(path):
            hits |= marks_in(part) | machine_in(part, finished_run)
        if hits:
            found[path.relative_to(finished_run).as_posix()] = hits
    assert found == {}
    kinds = {path.suffix for path in artefacts(finished_run)}
    assert {".html", ".json", ".md", ".npy", ".npz", ".parquet", ".pdf", ".png"} <= kinds


def test_no_mark_reaches_a_log(finished_run):
    for path in filter(Path.is_file, (finished_run / "logs").rglob("*")):
        assert not marks_in(path.read_bytes()), path
    printed = (finished_run / "first_output.txt").read_bytes()
    assert HOST.encode() in printed and not marks_in(printed)


def test_the_marks_stand_in_the_files_that_the_run_read(finished_run):
    assert len(ATTRIBUTES) > 450
    path = next((finished_run / f"dicom/{PATIENT}/full_1mm").iterdir())
    dataset = pydicom.dcmread(path)
    held = {**{each.keyword: each for each in dataset}, **dict.fromkeys(dataset.file_meta.dir())}
    assert set(ATTRIBUTES) <= set(held)
    assert str(dataset.PatientName) == mark("PatientName") and WORD in dataset.InstitutionName
    assert marks_in(path.read_bytes())


@pytest.mark.parametrize("keyword", ["PatientName", "PatientBirthDate", "StudyInstanceUID"])
def test_a_mark_is_found_however_it_is_packed(tmp_path, keyword):
    value = mark(keyword)
    figure = matplotlib.figure.Figure()
    figure.text(0.1, 0.5, f"T{value}, V")
    pdf, png, parquet, archive = (io.BytesIO() for _ in range(4))
    figure.savefig(pdf, format="pdf")
    figure.savefig(png, format="png", metadata={"Comment": value})
    pd.DataFrame({"a": [value] * 9}).to_parquet(parquet)
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as stream:
        stream.writestr("a.txt", gzip.compress(value.encode()))

    page = f"<img src='data:image/png;base64,{base64.b64encode(png.getvalue()).decode()}'>".encode()
    packed = [each.getvalue() for each in (pdf, png, parquet, archive)]
    for content in [*packed, page]:
        assert any(marks_in(part) for part in unpacked(content))


@pytest.mark.end_to_end
def test_absolute_paths_of_the_configuration_stay_out(tmp_path):
    """The data set, the lesion list and the folder of methods are named by absolute paths."""
    folder = copy_checkout(tmp_path / "checkout")
    write_inputs(folder, size=32, slices=2)
    far = tmp_path / "far away"
    far.mkdir()
    for name in ("dicom", "lesions_neutral.csv"):
        (folder / name).rename(far / name)
    edit_yaml(folder / "lookalike.yaml", root=str(far / "dicom"))
    edit_yaml(
        folder / "small.yaml",
        lesions_csv=str(far / "lesions_neutral.csv"),
        method_paths=[str(far)],
        sealed=True,
    )
    targets = ["results/tiny/config.yaml", f"results/tiny/test/{PATIENT}/volume.json"]
    targets += ["data/lookalike/lesions.csv"]
    outcome = snakemake(folder, "--cores", "2", *targets)
    assert outcome.returncode == 0, outcome.stdout[-3000:]
    saved = yaml.safe_load((folder / targets[0]).read_text(encoding="utf-8"))
    assert saved["dataset"]["root"] == "../far away/dicom"
    for path in artefacts(folder):
        assert not any(machine_in(part, tmp_path) for part in contents(path)), path
    records = [path for path in artefacts(folder) if path.name.endswith(RECORD_SUFFIX)]
    assert len(records) > 5
    for path in records:
        record = json.loads(path.read_text(encoding="utf-8"))
        assert not [text for text in texts(record) if text.startswith("/")], path
    again = snakemake(folder, "-n", *targets)
    assert "Nothing to be done" in again.stdout, again.stdout[-2000:]


@pytest.mark.parametrize("asked", [False, True])
def test_host_and_paths_stand_in_a_record_where_they_are_asked_for(tmp_path, monkeypatch, asked):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(HOST_SWITCH, "1" if asked else "")
    far = tmp_path.parent / "far away.txt"
    for path in (far, tmp_path / "in.txt", tmp_path / "out.txt"):
        path.write_text("x")
    twin = f"/far{tmp_path}/in.txt"  # has the working directory's path within it
    settings = {
        "root": str(far),
        "twin": f"see {twin}",
        "text": f'{{"a": "{far}"}} HU/pixel',
        "url": "https://a.b/c/d",
    }
    with recorded([tmp_path / "out.txt"], [tmp_path / "in.txt", far], settings):
        pass
    record = json.loads((tmp_path / "out.txt.provenance.json").read_text())
    assert ("node" in record["host"]) == asked
    if asked:
        assert record["settings"] == settings
        assert set(record["inputs"]) == {str(far), str(tmp_path / "in.txt")}
    else:
        assert set(record["inputs"]) == {"../far away.txt", "in.txt"}
        text = '{"a": "../far away.txt"} HU/pixel'
        changed = {"root": "../far away.txt", "text": text}
        changed["twin"] = f"see {os.path.relpath(twin)}"
        assert record["settings"] == settings | changed


def test_a_path_of_the_home_folder_names_no_user(tmp_path, monkeypatch):
    (tmp_path / "home/alice").mkdir(parents=True)
    monkeypatch.setenv("HOME", str(tmp_path / "home/alice"))
    (tmp_path / "run").mkdir()
    monkeypatch.chdir(tmp_path / "run")
    Path("out.txt").write_text("x")
    with recorded(["out.txt"], [], {"given": str(tmp_path / "home/alice/a.csv")}):
        pass
    record = json.loads(Path("out.txt.provenance.json").read_text())
    assert record["settings"] == {"given": "~/a.csv"}
