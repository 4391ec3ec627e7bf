"""The command line: help, one-line errors, logs."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ldct import __version__
from ldct.cli import GROUPS, ROOMS, completion_script, grouped_verbs, main, make_parser
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


def test_a_verb_that_no_group_lists_is_a_step_of_rules():
    verbs = make_parser().verbs
    listed = [name for names in GROUPS.values() for name in names]
    assert set(listed) <= set(verbs) and len(listed) == len(set(listed))
    typed, steps = grouped_verbs({**verbs, "new": verbs["score"]}).split("steps, which rules call:")
    assert all(f"\n  {name} " in f"\n{typed}" for name in listed)
    assert set(steps.replace(",", " ").split()) == {*verbs, "new"} - set(listed)


def test_every_room_with_verbs_is_asked():
    rooms = {file.parent.name for file in Path(__file__).parents[2].glob("ldct/*/verbs.py")}
    assert rooms == set(ROOMS)


@pytest.mark.skipif(not shutil.which("bash"), reason="needs bash")
@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("ldct tabl", {"table", "table1"}),
        ("ldct plan --co", {"--config", "--configfile", "--cores"}),
        ("ldct table m", {"mine"}),
    ],
)
def test_completion(words, offered, tmp_path):
    (tmp_path / "results/mine").mkdir(parents=True)
    script = completion_script(make_parser().verbs)
    call = f"COMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); _ldct"
    script += f'\n{call}; echo "${{COMPREPLY[@]}}"'
    done = subprocess.run(["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True)
    assert set(done.stdout.split()) == offered and not done.stderr


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
        ("metods --path x", "methods"),
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
