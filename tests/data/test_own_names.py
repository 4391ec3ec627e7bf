"""Folders, files and patient codes of one's own, by the description or by equal names."""

import pytest
import yaml
from lookalike import edit_file, lookalike_description, write_lookalike_tree
from odd_trees import refused
from repository_files import REPOSITORY
from workflow_runs import snakemake

from ldct.common.errors import InputError
from ldct.common.schema import read_valid, validate
from ldct.data.dicom.inventory import index_dataset
from ldct.data.volumes import read_index

CODES = ["PAT01", "R01-001", "1.3.6.1.4.1.9328.50.1.0117"]


def own_tree(tmp_path, place, codes=CODES, name="", patient_id="Anonymous"):
    """A tree without AAPM's names: `place` of patient and dose is each file's path."""
    tree = write_lookalike_tree(tmp_path / "made", size=32, patients=codes, slices=4)
    for code, doses in tree.files.items():
        for dose, paths in doses.items():
            for row, path in enumerate(paths):
                words = {
                    "code": code,
                    "dose": dose,
                    "DOSE": {"full": "NDCT", "quarter": "LDCT"}[dose],
                }
                target = tmp_path / "tree" / place.format(**words, row=row)
                target.parent.mkdir(parents=True, exist_ok=True)
                edit_file(path, PatientName=name, PatientID=patient_id.format(**words))
                path.rename(target)
    object.__setattr__(tree, "root", tmp_path / "tree")
    return tree


def index(tree, **changes):
    folder, description = tree.root.parent, lookalike_description(tree, **changes)
    validate(description, "dataset", "description")
    index_dataset(tree.root, description, folder / "index.parquet", folder / "inventory.md")
    return read_index(folder / "index.parquet")


@pytest.mark.parametrize(
    ("place", "full", "quarter"),
    [
        ("{code}/{DOSE}/{row}.dcm", "{patient}/NDCT", "{patient}/LDCT"),
        ("{code}/{DOSE}/{row}.dcm", "{patient}\\NDCT\\", "{patient}\\LDCT\\"),
        ("{code}/{DOSE}/a/b/{row}", "{patient}/ndct", "{patient}/ldct"),
        ("{DOSE}/{code}/{row}.dcm", "NDCT/{patient}", "LDCT/{patient}"),
        ("{code}_{DOSE}/{row}.dcm", "{patient}_NDCT", "{patient}_LDCT"),
        ("{code}/{row}_{DOSE}.dcm", "{patient}/*_NDCT.dcm", "{patient}/*_LDCT.dcm"),
        (
            "a/{code}/x{row}/{code}-{DOSE}",
            "a/{patient}/*/{patient}-N*",
            "a/{patient}/*/{patient}-L*",
        ),
        ("s (1)/{code}+/{DOSE}/{row}", "s (1)/{patient}+/NDCT", "*/{patient}+/LDCT"),
    ],
)
def test_patterns_map_paths_to_patient_and_dose(tmp_path, place, full, quarter):
    tree = own_tree(tmp_path, place)
    found = index(tree, files={"full": full, "quarter": quarter})
    assert found.groupby("patient").size().to_dict() == dict.fromkeys(CODES, 4)
    assert found["full_path"].str.contains("NDCT").all()
    assert found["quarter_path"].str.contains("LDCT").all()


@pytest.mark.parametrize("code", ["l067", "pat-1"])
def test_codes_are_found_whatever_their_case(tmp_path, code):
    tree = own_tree(tmp_path, "{code}/{dose}_1mm/{row}", [code, "x"], patient_id=code.upper())
    for path in (tree.root / code).rglob("*_1mm/*"):
        edit_file(path, PatientID=code.upper())
    for path in (tree.root / "x").rglob("*_1mm/*"):
        edit_file(path, PatientID="none")
    (tree.root / code).rename(tree.root / code.upper())
    assert set(index(tree)["patient"]) == {code, "x"}


def test_workflow_takes_patterns_and_codes_with_dots(tmp_path):
    tree = own_tree(tmp_path, "{code}/{DOSE}/{row}.dcm")
    files = {"full": "{patient}/NDCT", "quarter": "{patient}/LDCT"}
    description = yaml.safe_dump(lookalike_description(tree, files=files))
    (tmp_path / "mine.yaml").write_text(description, encoding="utf-8")
    (tmp_path / "run.yaml").write_text("dataset: mine.yaml", encoding="utf-8")
    snakefile = ("--snakefile", str(REPOSITORY / "Snakefile"))
    outcome = snakemake(tmp_path, "-n", *snakefile, configfiles=("run.yaml",))
    assert outcome.returncode == 0, outcome.stdout[-2000:]
    assert f"write_volume {len(CODES)}" in " ".join(outcome.stdout.split())


def test_patterns_go_before_names_of_headers(tmp_path):
    tree = own_tree(tmp_path, "{code}/{DOSE}/{row}.dcm", name="L067_QD_1", patient_id="L333")
    assert len(index(tree, files={"full": "{patient}/NDCT", "quarter": "{patient}/LDCT"})) == 12


def test_one_patient_needs_no_code_in_the_patterns(tmp_path):
    tree = own_tree(tmp_path, "{DOSE}/{row}", ["me"])
    assert len(index(tree, files={"full": "NDCT", "quarter": "LDCT"})) == 4


@pytest.mark.parametrize(
    ("place", "name", "patient_id"),
    [
        ("{code}/{dose}_1mm/{row}.dcm", "", "Anonymous"),
        ("{dose}_1mm/{code}/{row}", "", "x"),
        ("all/{code}_{dose}/FD_1mm/{dose}_1mm/{row}", "", "{code}"),
        ("{code}/{dose}_1mm/{row}.dcm", "L333_FD_1", "L333"),
    ],
)
def test_a_folder_or_patient_id_that_is_a_code_names_the_patient(tmp_path, place, name, patient_id):
    if name:  # of another data set's patient: its dose would contradict the folder
        name = name.partition("_")[0]
    assert len(index(own_tree(tmp_path, place, name=name, patient_id=patient_id))) == 12


@pytest.mark.parametrize(
    ("full", "told"),
    [
        (
            "{patient}/NDCT/axial",
            "files.full '{patient}/NDCT/axial': '{patient}/NDCT' matches, "
            "'axial' does not match PAT01/NDCT/0.dcm",
        ),
        (
            "{patient}/FD",
            "files.full '{patient}/FD': '{patient}' matches, 'FD' does not match PAT01/",
        ),
        ("data/{patient}/NDCT", "files.full 'data/{patient}/NDCT': 'data' does not match "),
    ],
)
def test_message_shows_how_far_a_pattern_matches(tmp_path, full, told):
    tree = own_tree(tmp_path, "{code}/{DOSE}/{row}.dcm")
    line = refused(tree, files={"full": full, "quarter": "{patient}/LDCT"})
    assert told in line


def test_patient_whose_folders_are_called_otherwise_is_told_what_lies_there(tmp_path):
    tree = own_tree(tmp_path, "{code}x/{dose}_1mm/{row}.dcm")
    line = refused(tree)
    assert "no CT slices of PAT01, R01-001" in line
    assert "24 other CT slices name no patient (first: 1.3.6.1.4.1.9328.50.1.0117x/" in line
    assert "name a folder of each patient by its code, or set `files`" in line


def test_slices_of_no_dose_are_told_with_the_key(tmp_path):
    line = refused(own_tree(tmp_path, "{code}/{DOSE}/{row}.dcm"))
    assert "PAT01: 8 slices (first: PAT01/LDCT/0.dcm), but nothing tells their dose" in line
    assert "or with `simulate` that all are full dose" in line
    assert "`files`" in line


def test_patterns_that_match_the_same_file_are_a_contradiction(tmp_path):
    tree = own_tree(tmp_path, "{code}/{DOSE}/{row}.dcm")
    line = refused(tree, files={"full": "{patient}/*", "quarter": "{patient}/LDCT"})
    assert "full dose by files.full, but quarter dose by files.quarter: both patterns match" in line


@pytest.mark.parametrize("code", ["", "a b", "../x", "a/b", "discs", ".x", "{p}", 7, "ä"])
def test_codes_that_are_no_safe_names_are_refused(tmp_path, code):
    description = {
        "name": "x", "title": "x", "simulated": False, "root": "x",
        "series": {"thickness_mm": None, "kernel": None}, "patients": {code: {"split": "test"}},
    }  # fmt: skip
    file = tmp_path / "x.yaml"
    file.write_text(yaml.safe_dump(description, allow_unicode=True), encoding="utf-8")
    with pytest.raises(InputError, match=r"key 'patients': found .*expected a code in quotes"):
        read_valid(file, "dataset")
