"""The crate of a run: whole, described to the letter of RO-Crate 1.1, and of no machine."""

import hashlib
import json
import platform
import re
import zipfile
from urllib.parse import unquote

import pytest
import yaml
from made_up_run import SETTINGS

from ldct.cli import main
from ldct.common.files import write_json, write_text
from ldct.common.provenance import recorded
from ldct.runs.version import RESULTS


@pytest.fixture
def crate(tmp_path, monkeypatch, capsys):
    """Files of a crate by name, made of a run with a path of this machine in every kind of text."""
    monkeypatch.chdir(tmp_path)
    run, far = tmp_path / "results/made-up", tmp_path.parent / "far away/given"
    inside = {"dataset": {"title": "a phantom", "credit": "A. Donor"}, "budget_text": "2 steps"}
    settings = {**SETTINGS, **inside, "run": "made-up", "cards": {"a": {"predictions": str(far)}}}
    write_text(run / "config.yaml", yaml.safe_dump(settings))
    write_json(run / "plan.json", {"sealed": "2026-01-01", "plan": {"cards": str(far / "P1.npy")}})
    scores = run / "scores/a/fixed/P 1.parquet"
    with recorded([scores], [run / "config.yaml"], {"given": str(far)}):
        write_text(scores, "")
    tables = [run / f"tables/table1.{suffix}" for suffix in ("csv", "md", "html")]
    with recorded(tables, ["results/made-up/scores/a/fixed/P 1.parquet"], {}):
        for table in tables:
            write_text(table, f"not run: {far}/P1.npy: not found\n")
    write_text(run / "predictions/a/fixed/P1.npy", "pixels")
    assert main(["crate", "made-up", "first.zip"]) == 0
    assert "first.zip: " in capsys.readouterr().out
    assert main(["crate", str(run), "second.zip"]) == 0
    assert (tmp_path / "first.zip").read_bytes() == (tmp_path / "second.zip").read_bytes()
    with zipfile.ZipFile("first.zip") as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_crate_is_described_as_the_specification_asks(crate):
    described = json.loads(crate["ro-crate-metadata.json"])
    graph = {entity["@id"]: entity for entity in described["@graph"]}
    assert len(graph) == len(described["@graph"]) and next(iter(crate)) == "ro-crate-metadata.json"
    assert described["@context"][0] == "https://w3id.org/ro/crate/1.1/context"
    descriptor, root = graph["ro-crate-metadata.json"], graph["./"]
    assert descriptor["about"] == {"@id": "./"}
    assert descriptor["conformsTo"] == {"@id": "https://w3id.org/ro/crate/1.1"}
    for key in ("name", "description", "datePublished", "license", "creditText"):
        assert root[key], key
    assert root["creditText"] == "A. Donor"
    files = {unquote(part["@id"]) for part in root["hasPart"]}
    assert files == set(crate) - {"ro-crate-metadata.json"}
    for name in files:
        entity = next(each for each in described["@graph"] if each.get("name") == name)
        assert entity["sha256"] == hashlib.sha256(crate[name]).hexdigest()
        assert entity["contentSize"] == str(len(crate[name]))

    referred = re.findall(r'\{"@id": "([^"]*)"\}', json.dumps(described["@graph"]))
    outside = {"https://w3id.org/ro/crate/1.1"}
    assert set(referred) - set(graph) == outside


def test_each_command_is_a_process_with_what_it_read_and_made(crate):
    graph = json.loads(crate["ro-crate-metadata.json"])["@graph"]
    by_id = {entity["@id"]: entity for entity in graph}
    actions = [entity for entity in graph if entity["@type"] == "CreateAction"]
    made = {each["@id"] for action in actions for each in [action["result"]] if "@id" in each}
    results = [action["result"] for action in actions if isinstance(action["result"], list)]
    made |= {each["@id"] for group in results for each in group}
    assert {"tables/table1.csv", "tables/table1.html"} <= made
    assert "#results/made-up/scores/a/fixed/P%201.parquet" in made
    for action in actions:
        software = by_id[action["instrument"]["@id"]]
        assert software["@type"] == "SoftwareApplication" and action["endTime"]


def test_crate_names_no_machine_and_holds_no_pixels(crate, tmp_path):
    assert not [name for name in crate if name.endswith((".npy", ".parquet", ".safetensors"))]
    assert {"LICENSE", "CITATION.cff", "config.yaml", "plan.json"} <= set(crate)
    for name, content in crate.items():
        text = content.decode()
        assert str(tmp_path) not in text and "far away/" not in text, name
        assert f'"node": "{platform.node()}"' not in text, name
    assert b"P1.npy: not found" in crate["tables/table1.html"]


def test_what_is_no_finished_run_is_one_line(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    write_text(
        tmp_path / "results/half/config.yaml", yaml.safe_dump({"cards": {}, "results": RESULTS})
    )
    assert main(["crate", "half", "a.zip"]) == 1
    assert "results/half: found no tables/table1.csv" in capsys.readouterr().err
    assert main(["crate", "half", "a.tar"]) == 1
    assert "a.tar: expected a name that ends in .zip" in capsys.readouterr().err
