"""Methods are folders: found by their card, checked, never imported."""

from pathlib import Path

import pytest

from ldct.common.errors import InputError
from ldct.configuration.registry import find_methods, method_folder, read_card

METHODS = Path(__file__).resolve().parents[2] / "methods"
CARD = "title: T\nkind: identity\nsource: S\nin_paper: false\ndepartures: []\n"


def write_method(folder: Path, card: str = CARD) -> Path:
    folder.mkdir(parents=True)
    (folder / "method.yaml").write_text(card)
    return folder


def test_committed_methods_are_found():
    found = find_methods([METHODS])
    assert {"low_dose", "bm3d", "bm3d_psd", "drl", "lsgan", "drl_drl", "proposed"} <= set(found)


@pytest.mark.parametrize("name", find_methods([METHODS]))
def test_every_committed_card_is_valid_and_names_its_source(name):
    card = read_card(METHODS / name)
    assert card["source"].strip()
    assert all(isinstance(sentence, str) and sentence for sentence in card["departures"])


def test_folders_without_a_card_are_passed_over(tmp_path):
    write_method(tmp_path / "mine")
    (tmp_path / "notes").mkdir()
    assert find_methods([tmp_path]) == {"mine": tmp_path / "mine"}


def test_further_folder_adds_methods_and_may_not_hide_one(tmp_path):
    write_method(tmp_path / "mine")
    assert {"mine", "drl"} <= set(find_methods([METHODS, tmp_path]))
    write_method(tmp_path / "drl")
    with pytest.raises(InputError, match="a method 'drl' also stands in"):
        find_methods([METHODS, tmp_path])


def test_missing_folder_and_unknown_method_are_named(tmp_path):
    with pytest.raises(InputError, match=r"no folder .*none"):
        find_methods([tmp_path / "none"])
    with pytest.raises(InputError, match=r"methods: unknown method 'drx' \(did you mean 'drl'\?\)"):
        method_folder("drx", find_methods([METHODS]), "methods")


@pytest.mark.parametrize(
    ("card", "message"),
    [
        (CARD.replace("kind: identity", "kind: magic"), "method.yaml: key 'kind': found 'magic'"),
        (CARD.replace("title: T\n", ""), "method.yaml: .*missing title"),
        (CARD + "recipy: {}\n", r"unknown key 'recipy' \(did you mean 'recipe'\?\)"),
        (CARD.replace("identity", "network"), "missing network, loss, recipe"),
    ],
)
def test_card_mistakes_name_file_and_key(tmp_path, card, message):
    with pytest.raises(InputError, match=message):
        read_card(write_method(tmp_path / "mine", card))
