"""LaTeX of every table of a run compiles, in one document."""

import shutil
import subprocess

import pytest

ENGINES = {"tectonic": ["tectonic"], "pdflatex": ["pdflatex", "-interaction=nonstopmode"]}
# amsmath and the like are not asked for: what a conference's class has must do.
DOCUMENT = r"""\documentclass{article}
\usepackage[T1]{fontenc}\usepackage[utf8]{inputenc}\usepackage{booktabs,graphicx}
\begin{document}
%s
\end{document}
"""


def test_all_tables_compile_in_one_document(finished_run, tmp_path):
    engine = next(filter(shutil.which, ENGINES), None)
    if engine is None:
        pytest.skip("needs tectonic, or pdflatex (Debian: texlive-latex-extra)")
    run = finished_run / "results/tiny"
    tables = {path.relative_to(run).as_posix(): path for path in sorted(run.rglob("*.tex"))}
    pages = {path.with_suffix(".tex") for path in run.glob("tables/*.html")}
    assert pages <= set(tables.values())
    parts = [path.read_text(encoding="utf-8") for path in tables.values()]
    # Of several protocols each has a Table I: one document has one of them.
    parts = [part for name, part in zip(tables, parts, strict=True) if name.count("/") < 2]
    (tmp_path / "all.tex").write_text(DOCUMENT % "\n".join(parts), encoding="utf-8")
    made = subprocess.run(
        [*ENGINES[engine], "all.tex"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    told = [line for line in made.stdout.splitlines() if line.startswith(("!", "LaTeX Warning"))]
    assert made.returncode == 0 and (tmp_path / "all.pdf").is_file(), told
    assert not [line for line in told if "multiply defined" in line]
