"""Runs of other versions of the suite."""

import re

import pytest
import yaml
from repository_files import REPOSITORY

from ldct.cli import main
from ldct.common.errors import InputError
from ldct.common.schema import validate
from ldct.runs.version import RESULTS, check_readable, upgrade_text

OF_0_1_0 = {"cards": {}, "run": "x"}  # its resolved configuration had no `sealed` and no number


@pytest.fixture
def run(tmp_path):
    def make(**settings):
        (tmp_path / "config.yaml").write_text(yaml.safe_dump(settings))
        return tmp_path

    return make


def test_only_a_run_of_an_older_version_is_announced(run, tmp_path):
    assert upgrade_text(tmp_path / "new") == ""
    assert upgrade_text(run(results=RESULTS)) == ""
    assert upgrade_text(run(sealed=False)) == ""  # of this version, before it wrote the number
    text = upgrade_text(run(**OF_0_1_0))
    assert "made once again (CHANGELOG.md)" in text and "\n" not in text
    log = (REPOSITORY / "CHANGELOG.md").read_text(encoding="utf-8")
    assert "**Everything is made once again**" in log


def test_a_run_of_a_newer_version_is_refused(run):
    with pytest.raises(InputError, match=rf"newer version .*results {RESULTS + 1}"):
        upgrade_text(run(results=RESULTS + 1))


def test_numbers_of_an_older_run_are_not_explained(run, capsys):
    check_readable({"results": RESULTS}, run())
    folder = run(**OF_0_1_0)
    assert main(["explain", str(folder), "drl", "psnr"]) == 1
    assert re.match(r"error: .*an older version of the suite made it", capsys.readouterr().err)


def test_a_key_that_is_gone_says_where_it_went():
    config = yaml.safe_load((REPOSITORY / "config/config.yaml").read_text(encoding="utf-8"))
    config["demo"]["dose_fraction"] = 0.5
    with pytest.raises(InputError, match=r"'dose_fraction' in 'demo' is gone: .*simulate"):
        validate(config, "config", "configuration")
