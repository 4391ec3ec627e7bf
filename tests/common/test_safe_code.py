"""What the code does not do: run data as code, hand data to a shell, take downloads on trust.

Read from the syntax trees of all of it; rule files, which are not Python, by their words.
"""

import ast
import re
from collections.abc import Iterator

import pytest
import yaml
from repository_files import REPOSITORY, repository_files

from ldct.common.files import SAFE_LOADER

PLACES = ("ldct", "scripts", "workflow", "methods", "examples", "notebooks", "benchmarks")
CODE = [path for path in repository_files() if path.relative_to(REPOSITORY).parts[0] in PLACES]
PYTHON = [path for path in CODE if path.suffix == ".py"]
RULES = [REPOSITORY / "Snakefile", *(path for path in CODE if path.suffix == ".smk")]
SERIALISERS = {"pickle", "cPickle", "_pickle", "marshal", "shelve", "dill", "cloudpickle", "joblib"}
NETWORK = {"requests", "urllib.request", "http.client", "ftplib", "httpx", "aiohttp", "idc_index"}
# Compare the sha256 of what they fetch with one that stands in the repository.
CHECKED_DOWNLOADS = {"ldct/common/downloads.py", "ldct/data/public_series.py"}
# Published weights of LPIPS and VGG-16 are pickles: its unpickler makes NumPy arrays alone.
RESTRICTED_UNPICKLER = "ldct/pretrained/vgg_weights.py"
RUN_TEXT = {"eval", "exec", "compile", "__import__"}
SHELLS = {"os.system", "os.popen", "subprocess.getoutput", "subprocess.getstatusoutput"}
UNSAFE_YAML = {"yaml.load", "yaml.load_all", "yaml.unsafe_load", "yaml.full_load"}
WORDS = re.compile(
    rf"\b({'|'.join(map(re.escape, SERIALISERS | NETWORK | SHELLS | UNSAFE_YAML))})\b"
    rf"|(?<![\w.])({'|'.join(RUN_TEXT)})\(|torch\.load|allow_pickle|shell\s*=\s*True"
)


def faults(tree: ast.AST) -> Iterator[str]:
    """What a file must not do, in words, with the line."""
    for node in ast.walk(tree):
        found = ()
        if isinstance(node, ast.Import):
            found = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found = [node.module or "", *(f"{node.module}.{each.name}" for each in node.names)]
        elif isinstance(node, ast.Call):
            yield from (f"{node.lineno}: {fault}" for fault in _faults_of_call(node))
        yield from (f"{node.lineno}: {name}" for name in found if name in SERIALISERS | NETWORK)


def _faults_of_call(node: ast.Call) -> Iterator[str]:
    name = ast.unparse(node.func)
    given = {word.arg: ast.unparse(word.value) for word in node.keywords}
    if name in RUN_TEXT | SHELLS or name.endswith((".extractall", "tempfile.mktemp")):
        yield name
    if name in UNSAFE_YAML and given.get("Loader", "").upper() != "SAFE_LOADER":
        yield name
    if name == "torch.load" and given.get("weights_only") != "True":
        yield "torch.load without weights_only=True"
    if given.get("allow_pickle", "False") != "False":
        yield "allow_pickle"
    if given.get("shell", "False") != "False" or (
        node.args and re.match(r"\[['\"](?:/bin/)?(?:ba|da|z)?sh['\"], ['\"]-\w*c", _text(node))
    ):
        yield f"{name} by a shell"


def _text(node: ast.Call) -> str:
    return ast.unparse(node.args[0])


def test_code_runs_no_data_and_trusts_no_download():
    found = []
    for path in PYTHON:
        own = path.relative_to(REPOSITORY).as_posix()
        allowed = {"pickle"} if own == RESTRICTED_UNPICKLER else set()
        allowed |= NETWORK if own in CHECKED_DOWNLOADS else set()
        told = faults(ast.parse(path.read_text(encoding="utf-8")))
        found += [f"{own}:{fault}" for fault in told if fault.split(": ")[1] not in allowed]
    assert len(PYTHON) > 200 and found == []


def test_rules_run_no_data_and_fetch_nothing():
    for path in RULES:
        lines = [line.split("#")[0] for line in path.read_text(encoding="utf-8").splitlines()]
        assert [line for line in lines if WORDS.search(line)] == [], path


@pytest.mark.parametrize(
    "line",
    [
        *("import pickle", "from marshal import loads", "import urllib.request", "import requests"),
        *("from urllib.request import urlopen", "from urllib import request", "eval(x)"),
        *(
            "exec(x)",
            "compile(x, '', 'exec')",
            "os.system(x)",
            "yaml.load(x)",
            "yaml.unsafe_load(x)",
        ),
        *("yaml.load(x, Loader=yaml.Loader)", "torch.load(x)", "torch.load(x, weights_only=False)"),
        *("np.load(x, allow_pickle=True)", "subprocess.run(x, shell=True)", "archive.extractall()"),
        "yaml.unsafe_load(x)",
        "subprocess.run(['bash', '-c', x])",
    ],
)
def test_what_is_looked_for_is_found(line):
    assert list(faults(ast.parse(line)))


def test_checked_downloads_are_checked_against_a_sha256():
    for name in CHECKED_DOWNLOADS:
        text = (REPOSITORY / name).read_text(encoding="utf-8")
        assert re.search(r"if \w+(\(.*\))? (!=|==) \w+(\.|\[\")sha256", text), name
    assert issubclass(SAFE_LOADER, (yaml.SafeLoader, yaml.CSafeLoader))
    unpickler = (REPOSITORY / RESTRICTED_UNPICKLER).read_text(encoding="utf-8")
    assert "def find_class" in unpickler and "pickle.load" not in unpickler


INSTALLERS = ("scripts/setup.sh", ".ci/run", "run.sh", "test.sh")
INSTALLERS += ("containers/Dockerfile", "containers/ldct.def")


@pytest.mark.parametrize("name", INSTALLERS)
def test_what_is_installed_is_checked_by_hash_or_pinned(name):
    """torch has no hash: its builds differ by index. pyproject.toml pins the extra `docs`."""
    text = (REPOSITORY / name).read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line for line in text.splitlines() if re.search(r"pip3? install\b", line)]
    pinned = dict(re.findall(r'^([A-Z]+)="([\w.-]+==[\w.]+)"', text, re.MULTILINE))
    for line in lines:
        names_pin = any(f'"${word}"' in line for word in pinned)
        assert "--require-hashes" in line or "--editable" in line or names_pin, line
    assert not re.search(r"\b(?:curl|wget)\b", text)


def test_the_lock_and_the_containers_go_through_one_script():
    setup = (REPOSITORY / "scripts/setup.sh").read_text(encoding="utf-8")
    assert setup.count("--require-hashes") == 2 and "--no-deps" in setup
    for name in ("containers/Dockerfile", "containers/ldct.def"):
        text = (REPOSITORY / name).read_text(encoding="utf-8")
        assert "scripts/setup.sh" in text and "pip install" not in text
