"""check-method on methods with rules of their own: each fault is told in one true line."""

import pytest
from workflow_runs import REPOSITORY, snakemake, write_yaml

from ldct.cli import main

MEDIAN = "median_filter(np.load(source), (1, 3, 3)).astype(np.float32)"
PROGRAM, RULES = "program.py", "rules.smk"


@pytest.mark.parametrize(
    ("file", "old", "new", "message"),
    [
        (RULES, "rule mine:", "rule table1:", "a name that table1.smk has already"),
        (RULES, "/fixed/", "/0/", "no rule makes results/check/predictions/mine/fixed/L001.npy"),
        (RULES, "predictions/mine", "predictions/other", "found rules that make results/check/pre"),
        (RULES, "{RUN}/pred", "results/my-run/pred", "no rule makes results/check/predictions"),
        ("environment.yml", None, None, "key 'conda': found no file"),
        (PROGRAM, None, None, "No such file or directory"),
        (
            PROGRAM,
            "import sys",
            "import sys\nsys.exit('no licence')",
            "(exit status 1): no licence",
        ),
        (PROGRAM, "source, target", "1 / 0\nsource, target", "ZeroDivisionError: division by zero"),
        (PROGRAM, "import sys", "import sys\nsys.exit(3)", "(exit status 3): it says nothing"),
        (RULES, "python {input", "pythonn {input", "pythonn: command not found"),
        (RULES, "quarter.npy", "qarter.npy", "qarter.npy, which is not there"),
        (RULES, "{input.test}", "{input.tset}", "no attribute 'tset'"),
        (PROGRAM, "np.save(target", "print(target", "ends well and writes no results/check/pred"),
        (PROGRAM, MEDIAN, f"{MEDIAN}[:, 1:]", "comes back with shape (1, 63, 64)"),
        (PROGRAM, MEDIAN, f"{MEDIAN}[0]", "comes back with shape (64, 64)"),
        (PROGRAM, "np.float32", "np.float64", "of type float64, expected float32"),
        (PROGRAM, MEDIAN, "np.array([None])", "not a readable .npy array"),
    ],
)
def test_a_fault_of_rules_or_program_is_one_line(tmp_path, capsys, file, old, new, message):
    main(["new-method", "mine", "--kind", "external", "--path", str(tmp_path)])
    path = tmp_path / "mine" / file
    if old is None:
        path.unlink()
    else:
        text = path.read_text(encoding="utf-8")
        assert old in text
        path.write_text(text.replace(old, new), encoding="utf-8")
    capsys.readouterr()
    assert main(["check-method", "mine", "--path", str(tmp_path)]) == 1
    wrong = [line for line in capsys.readouterr().out.splitlines() if "wrong: " in line]
    assert len(wrong) == 1
    assert message in wrong[0] and "mine/rules.smk: " in wrong[0]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("/fixed/", "/0/", "which is where predictions are expected; found rules that make "),
        ("environment.yml", "missing.yml", "key 'conda': found no file "),
        ("rule mine:", "rule score:", "a name that metrics.smk has already"),
        ("rule mine:", "rule  all :", "a name that Snakefile has already"),
        ("{{patient}}", "L000", "no rule makes results/dry/predictions/mine/fixed/L903.npy"),
    ],
)
def test_a_run_leaves_a_method_out_whose_rules_cannot_serve(tmp_path, old, new, message):
    main(["new-method", "mine", "--kind", "external", "--path", str(tmp_path)])
    rules = tmp_path / "mine/rules.smk"
    rules.write_text(rules.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")
    settings = {"run": "dry", "methods": ["low_dose", "mine"], "method_paths": [str(tmp_path)]}
    write_yaml(tmp_path / "dry.yaml", settings)
    snakefile = ("--snakefile", str(REPOSITORY / "Snakefile"))
    outcome = snakemake(tmp_path, "-n", "-q", *snakefile, configfiles=("dry.yaml",))
    assert outcome.returncode == 0, outcome.stdout[-2000:]
    told = [line for line in outcome.stdout.splitlines() if "mine is left out: " in line]
    assert len(told) == 1 and message in told[0]
