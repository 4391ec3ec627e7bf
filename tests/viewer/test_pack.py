"""Slices for the page: chosen by rule, packed without loss, within a limit that is told."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from made_up_slices import LESIONS, METHODS, pack, write_patient
from repository_files import REPOSITORY

from ldct.cli import main
from ldct.common.errors import InputError
from ldct.viewer.pack import decode, encode
from ldct.viewer.page import images_of, viewer_html

HU = arrays(np.int16, (5, 7), elements=st.integers(-32768, 32767))


@given(HU, HU)
def test_packing_loses_nothing(image, ldct):
    assert np.array_equal(decode(encode(ldct, ldct), ldct.shape, None), ldct)
    assert np.array_equal(decode(encode(image, ldct), image.shape, ldct), image)


def test_what_a_method_leaves_alone_costs_next_to_nothing():
    noise = np.random.default_rng(0).normal(0, 30, (2, 64, 64)).astype(np.int16)
    assert len(encode(noise[0].copy(), noise[0])["data"]) < 200
    assert len(encode(noise[1], noise[0])["data"]) > 4000


def test_every_lesion_slice_and_some_whole_slices_of_all_methods(tmp_path, capsys):
    content = json.loads(pack(tmp_path, slices=2).read_text())
    places = [entry["id"] for entry in content["slices"]]
    assert places == ["L7_1_0004", "L7_1_0005", "L7_1_0006", "L7_2_0005", "L7_0003", "L7_0007"]
    # Slices 0 and 9 are equal in both doses: they show nothing.
    assert content["left_out"] == 0 and "6 views, " in capsys.readouterr().err
    full = np.load(tmp_path / "test/L7/full.npy")
    for entry in content["slices"]:
        top, bottom, left, right = entry["crop"]
        row = int(entry["id"][-4:])
        images = images_of(entry)
        assert list(images) == ["LDCT", *METHODS.values(), "NDCT"]
        assert np.array_equal(images["NDCT"], full[row, top:bottom, left:right])
        predicted = np.load(tmp_path / "predictions/keen/0/L7.npy")[row, top:bottom, left:right]
        assert np.array_equal(images["Keen & <sharp>"], np.rint(predicted))
    lung, soft = content["slices"][3], content["slices"][0]
    assert (lung["second"], soft["second"]) == ("lung", None)
    assert soft["crop"] == [0, 80, 21, 101] and soft["region"] == [8, 72, 29, 93]


def test_what_does_not_fit_is_left_out_by_rank_and_told(tmp_path, capsys):
    entries = json.loads(pack(tmp_path).read_text())["slices"]
    room = sum(len(json.dumps(e)) for e in entries if e["id"] in ("L7_1_0005", "L7_0005"))
    output = pack(tmp_path, megabytes=(room + 2000) / 1e6)
    content = json.loads(output.read_text())
    # The whole slice and the middle slice of the first lesion.
    assert [entry["id"] for entry in content["slices"]] == ["L7_1_0005", "L7_0005"]
    assert content["left_out"] == 3
    assert "2 views, 3 left out (viewer.megabytes), 0." in capsys.readouterr().err
    assert "3 further views are left out" in viewer_html(output)
    assert len(json.loads(pack(tmp_path, megabytes=1e-6).read_text())["slices"]) == 1


def test_the_section_asks_for_nothing_and_ends_no_script(tmp_path):
    text = viewer_html(pack(tmp_path))
    assert "http" not in text.replace("http://www.w3.org/2000/svg", "")
    assert text.count("</script>") == 2 and "<sharp>" not in text
    with pytest.raises(InputError, match=r"none\.json: not found"):
        viewer_html(tmp_path / "none.json")


def test_rules_name_all_that_the_page_is_made_of():
    rules = (REPOSITORY / "workflow/rules/viewer.smk").read_text()
    parts = [f for f in (REPOSITORY / "ldct/viewer").iterdir() if f.suffix in (".js", ".css")]
    assert len(parts) == 6 and all(f'"{Path(part).name}"' in rules for part in parts)


def test_verb_takes_what_the_rule_gives_it(tmp_path):
    predictions = map(str, write_patient(tmp_path).values())
    (tmp_path / "lesions.csv").write_text(LESIONS)
    given = {"crop": 64, "slices": 2, "megabytes": 1}
    arguments = ["pack-slices", "--test-folders", tmp_path / "test/L7", "--predictions"]
    arguments += [*predictions, "--titles", json.dumps(list(METHODS.items())), "--note", "made"]
    arguments += ["--protocol", REPOSITORY / "config/protocols/abdomen.yaml"]
    arguments += ["--lesions", tmp_path / "lesions.csv", "--settings", json.dumps(given)]
    assert main([*map(str, arguments), "--output", str(tmp_path / "slices.json")]) == 0
    record = json.loads((tmp_path / "slices.json.provenance.json").read_text())
    assert record["settings"] == given | {"protocol": "abdomen"}
    assert len(json.loads((tmp_path / "slices.json").read_text())["slices"]) == 6


def test_test_set_without_lesions_has_whole_slices(tmp_path):
    write_patient(tmp_path)
    (tmp_path / "lesions.csv").write_text(LESIONS.splitlines()[0] + "\n")
    (entry,) = json.loads(pack(tmp_path, lesions=None).read_text())["slices"]
    assert entry["mark"] is None and entry["crop"] == entry["region"] == [0, 80, 0, 112]
