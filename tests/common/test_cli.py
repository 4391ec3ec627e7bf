"""The command line: help, one-line errors, logs."""

import sys
from pathlib import Path

import pytest

from ldct import __version__
from ldct.cli import main
from ldct.common.errors import InputError

VERBS = ["index", "volume", "tiles", "lesions", "train", "denoise-network", "score", "table1"]


def test_help_lists_the_verbs(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["--help"])
    assert caught.value.code == 0
    shown = capsys.readouterr().out
    assert all(verb in shown for verb in VERBS)


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself(verb, capsys):
    with pytest.raises(SystemExit) as caught:
        main([verb, "--help"])
    assert caught.value.code == 0
    assert "--output" in capsys.readouterr().out or verb == "index"


def test_version(capsys):
    with pytest.raises(SystemExit):
        main(["--version"])
    assert capsys.readouterr().out.strip() == __version__


def failing(monkeypatch, error: BaseException) -> int:
    """Status of a verb that raises `error`."""

    def run(options):
        raise error

    monkeypatch.setattr("ldct.data.verbs.run_fetch_demo", run)
    return main(["fetch-demo", "--archives", "a"])


@pytest.mark.parametrize(
    ("error", "status", "shown"),
    [
        (InputError("file.csv: no column z"), 1, "error: file.csv: no column z\n"),
        (FileNotFoundError(2, "No such file or directory", "a.npy"), 1, "error: a.npy: No such"),
        (KeyboardInterrupt(), 130, "stopped\n"),
    ],
)
def test_bad_input_is_one_line_without_traceback(monkeypatch, capsys, error, status, shown):
    assert failing(monkeypatch, error) == status
    printed = capsys.readouterr().err
    assert printed.startswith(shown)
    assert printed.count("\n") == 1


def test_programming_errors_keep_their_traceback(monkeypatch, capsys):
    assert failing(monkeypatch, ZeroDivisionError()) == 1
    assert "ZeroDivisionError" in capsys.readouterr().err


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("where", ["/dev/full", "file/score.log"])
def test_log_that_cannot_be_written_does_not_end_the_job(monkeypatch, tmp_path, capsys, where):
    """A full disk while the job runs, or a place that cannot be opened at its start."""
    (tmp_path / "file").write_text("no folder")

    def run(options):
        print("working", file=sys.stderr)
        print("done", file=sys.stderr)

    monkeypatch.setattr("ldct.data.verbs.run_fetch_demo", run)
    stderr = sys.stderr
    assert main(["--log", str(tmp_path / where), "fetch-demo", "--archives", "a"]) == 0
    shown = capsys.readouterr().err
    assert shown.count("log not written") == 1
    assert shown.replace(shown[shown.index("warning") :].splitlines()[0] + "\n", "") == (
        "working\ndone\n"
    )
    assert sys.stderr is stderr


def test_log_holds_what_was_shown(tmp_path, capsys):
    log = tmp_path / "logs" / "score.log"
    stderr = sys.stderr
    status = main(
        [
            *("--log", str(log), "tiles", "--volumes", str(tmp_path / "none")),
            *("--size", "64", "--stride", "64", "--keep-above-hu", "-500"),
            *("--output", str(tmp_path / "tiles.npy")),
        ]
    )
    assert status == 1
    shown = capsys.readouterr().err
    assert "none" in shown
    assert log.read_text(encoding="utf-8") == shown
    assert sys.stderr is stderr


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        ("chek-method", "check-method"),
        ("tabel1", "table1"),
        ("check_method drl", "check-method"),
        ("metods --fast", "methods"),
        ("check-method --pth x", "--path"),
        ("denoise-network --ouput=x", "--output"),
        ("new-method mine --kind netwrok", "network"),
        ("--lgo file index", "--log"),
    ],
)
def test_a_typo_ends_in_one_line_with_what_was_meant(words, meant, capsys):
    with pytest.raises(SystemExit) as caught:
        main(words.split())
    assert caught.value.code == 2
    printed = capsys.readouterr().err
    assert f"did you mean '{meant}'?" in printed
    assert printed.startswith("error: ") and printed.count("\n") == 1
