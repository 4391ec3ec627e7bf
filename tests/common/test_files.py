"""Atomic writing: a reader sees the old file or the whole new one."""

import hashlib
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ldct.common.errors import InputError
from ldct.common.files import (
    atomic_path,
    read_json,
    read_yaml,
    sha256_of_file,
    write_json,
    write_text,
)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda children: st.lists(children) | st.dictionaries(st.text(), children),
    max_leaves=10,
)


def test_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "a.txt"
    write_text(path, "old")
    with pytest.raises(RuntimeError), atomic_path(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_target_is_absent_until_the_block_ends(tmp_path):
    path = tmp_path / "new" / "array.npy"
    with atomic_path(path) as temporary:
        np.save(temporary, np.arange(3))
        assert not path.exists()
        assert temporary.suffix == ".npy"
        assert temporary.parent == path.parent
    np.testing.assert_array_equal(np.load(path), [0, 1, 2])


@given(content=JSON)
def test_json_round_trip(content, tmp_path_factory):
    path = tmp_path_factory.mktemp("json") / "a.json"
    write_json(path, content)
    assert read_json(path) == content


def test_json_is_the_same_whatever_the_order_of_keys(tmp_path):
    write_json(tmp_path / "a.json", {"b": 1, "a": 2})
    write_json(tmp_path / "b.json", {"a": 2, "b": 1})
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    assert json.loads((tmp_path / "a.json").read_text()) == {"a": 2, "b": 1}


def test_yaml_never_makes_objects(tmp_path):
    (tmp_path / "evil.yaml").write_text("!!python/object/apply:os.getcwd []")
    with pytest.raises(InputError, match=r"evil\.yaml: not valid YAML"):
        read_yaml(tmp_path / "evil.yaml")


@pytest.mark.parametrize("content", [b"", b"a: [", b'{"a": \xff}'])
def test_what_is_no_json_or_yaml_is_named_in_one_line(tmp_path, content):
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"file: not valid JSON") as caught:
        read_json(path)
    assert "\n" not in str(caught.value)
    if content:
        with pytest.raises(InputError, match=r"file: not valid YAML") as caught:
            read_yaml(path)
        assert "\n" not in str(caught.value)


@given(content=st.binary(max_size=1000))
def test_sha256_is_hashlibs(content, tmp_path_factory):
    path = tmp_path_factory.mktemp("sha") / "a.bin"
    path.write_bytes(content)
    assert sha256_of_file(path) == hashlib.sha256(content).hexdigest()
