"""check-method: green for every folder, and words for what is wrong."""

import importlib.util
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file

from ldct.cli import main
from ldct.common.files import read_yaml
from ldct.common.scaling import Scaling
from ldct.configuration.registry import find_methods
from ldct.method_check import networks
from ldct.method_check.check import check_method

REPOSITORY = Path(__file__).parents[2]
FOLDERS = find_methods([REPOSITORY / "methods", REPOSITORY / "examples/methods"])
PUBLISHED = read_yaml(REPOSITORY / "config/published.yaml")["rows"]
CARD = {
    "title": "Mine",
    "kind": "classical",
    "in_paper": False,
    "source": "a test",
    "departures": [],
}
NETWORK = {
    **CARD,
    "kind": "network",
    "network": "mine",
    "loss": {"mse": 1.0},
    "recipe": {"learning_rate": 1e-3, "betas": [0.9, 0.999], "batch": 2, "epochs": 1},
}
BODY = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 1, 3, padding={padding})
        self.unused = nn.Conv2d(1, 1, 1) if {unused} else None
    def forward(self, x):
        return self.b(torch.relu(self.a(x)))

def build():
    return Net()
"""


# A real method at its own size takes minutes: one level of four channels says as much.
TINY = {"width": 4, "encoder": [1], "middle": 1, "decoder": [1]}


def judge(folder: Path, name: str = "mine"):
    methods = {**find_methods([folder]), "drl": FOLDERS["drl"]}
    return check_method(name, methods, PUBLISHED, folder / "work")


def write(folder: Path, card: dict, **files: str) -> Path:
    (folder / "mine").mkdir()
    (folder / "mine/method.yaml").write_text(yaml.safe_dump(card), encoding="utf-8")
    for name, text in files.items():
        (folder / f"mine/{name}.py").write_text(text, encoding="utf-8")
    return folder


@pytest.mark.parametrize("name", [name for name in FOLDERS if name != "nafnet"])
def test_every_folder_is_green(name, tmp_path, monkeypatch):
    if name.startswith("deepinv"):
        told = subprocess.run(["python", "-c", "import deepinv"], capture_output=True, text=True)
        if told.returncode:
            pytest.skip(f"deepinv does not import: {told.stderr.splitlines()[-1]}")
    if name.startswith("bm3d"):
        pytest.importorskip("bm3d", reason="optional package: pip install 'bm3d==4.0.3'")
    monkeypatch.chdir(REPOSITORY)
    monkeypatch.setattr(networks, "time_of", lambda *_: "")  # told of one network below
    verdict = check_method(name, FOLDERS, PUBLISHED, tmp_path)
    assert verdict.problems == []


def test_a_published_network_trains_and_predicts_by_rules_of_its_own(tmp_path):
    """The example NAFNet, small; its settings are what the rules read."""
    folder = shutil.copytree(FOLDERS["nafnet"], tmp_path / "nafnet")
    card = read_yaml(folder / "method.yaml")
    settings = card["settings"] | {"network": TINY}
    (folder / "method.yaml").write_text(yaml.safe_dump(card | {"settings": settings}))
    verdict = judge(tmp_path, "nafnet")
    assert verdict.problems == []
    weights = load_file(tmp_path / "work/results/check/models/nafnet/fixed/weights.safetensors")
    # The last layer starts from zero: two steps have moved it.
    assert weights["last.weight"].abs().max() > 0


def test_nafnet_has_the_published_number_of_parameters():
    spec = importlib.util.spec_from_file_location("nafnet", FOLDERS["nafnet"] / "network.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    settings = read_yaml(FOLDERS["nafnet"] / "method.yaml")["settings"]
    with torch.device("meta"):
        network = module.NAFNet(**settings["network"])
        assert network(torch.zeros(1, 1, 65, 47)).shape == (1, 1, 65, 47)
    # As published for 32 channels.
    assert round(sum(each.numel() for each in network.parameters()) / 1e6, 2) == 29.16


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("def denoise(s, p):\n    return s[1:]\n", "comes back with shape"),
        ("def denoise(s, p):\n    return s * float('nan')\n", "NaN or infinite"),
        ("def denoise(s, p):\n    return s + 20\n", "moves by \\+20.0 HU"),
        ("def denoise(s, p):\n    s += 1\n    return s\n", "changes its input"),
        (
            "import numpy as np\ndef denoise(s, p):\n    return s + np.random.rand(*s.shape)\n",
            "other values the second time",
        ),
        ("def denoise(s, p):\n    return s * 40.0 / s.mean()\n", "expected|moves by"),
        ("def denoise(s, p):\n    raise ValueError('no')\n", "ValueError: no"),
        ("x = 1\n", "function denoise is missing"),
    ],
)
def test_faults_of_a_classical_method(tmp_path, code, words):
    verdict = judge(write(tmp_path, CARD, denoise=code))
    assert len(verdict.problems) >= 1
    assert re.search(words, verdict.problems[0])


@pytest.mark.parametrize(
    ("padding", "unused", "words"),
    [(0, False, "size|shape"), (1, True, "no gradient reaches the parameter unused.weight")],
)
def test_faults_of_a_network(tmp_path, padding, unused, words):
    code = BODY.format(padding=padding, unused=unused)
    verdict = judge(write(tmp_path, NETWORK, network=code))
    assert re.search(words, " ".join(verdict.problems))


def test_a_network_is_tried_in_the_units_of_its_card(tmp_path, monkeypatch):
    real, seen = Scaling.to_unit, set()
    monkeypatch.setattr(Scaling, "to_unit", lambda units, hu: seen.add(units) or real(units, hu))
    card = NETWORK | {"scaling": {"window": [-1024, 3071], "clip": True}}
    code = BODY.format(padding=1, unused=False)
    assert judge(write(tmp_path, card, network=code)).problems == []
    assert seen == {Scaling(-1024, 3071, True)}


def test_facts_of_a_network(tmp_path):
    verdict = judge(write(tmp_path, NETWORK, network=BODY.format(padding=1, unused=False)))
    assert verdict.problems == []
    assert verdict.facts["parameters"] == str(9 * 4 + 4 + 9 * 4 + 1)
    assert verdict.facts["receptive field"] == "5 pixels"
    assert verdict.facts["cost"].startswith("0.0 ")
    assert verdict.facts["time"].endswith(" CPU seconds per slice of 512 x 512")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"los": {"mse": 1.0}}, "unknown key 'los'"),
        ({"in_paper": True}, "key 'in_paper': found true"),
        ({"network": "drrl"}, "unknown method 'drrl' \\(did you mean 'drl'"),
        ({"loss": {"mse": -1}}, "loss.mse"),
        ({"network": "mine"}, "no network.py"),
        ({"kind": "classical"}, "denoise.py is missing"),
    ],
)
def test_faults_of_a_card_name_file_and_key(tmp_path, change, words):
    verdict = judge(write(tmp_path, {**NETWORK, "network": "drl", **change}))
    assert len(verdict.problems) == 1
    assert str(tmp_path / "mine/method.yaml") in verdict.problems[0]
    assert re.search(words, verdict.problems[0])


def test_verb_ends_with_status_1_and_names_the_method(tmp_path, capsys):
    write(tmp_path, CARD, denoise="def denoise(s, p):\n    return s + 20\n")
    assert main(["check-method", "mine", "--path", str(tmp_path)]) == 1
    said = capsys.readouterr()
    assert "mine: wrong" in said.out and "does it return HU" in said.out
    assert "problems in mine" in said.err


def test_list_of_methods(capsys):
    assert main(["methods"]) == 0
    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    assert set(lines) >= {"name", "drl", "proposed", "bm3d", "fc_aide"}
    assert "DRL → DRL" in lines["drl_drl"]


def test_list_of_networks(capsys, monkeypatch):
    """Of two methods, since building all takes seconds."""
    folders = {name: REPOSITORY / "methods" / name for name in ("lsgan", "drl", "proposed")}
    monkeypatch.setattr("ldct.method_check.verbs.known_methods", lambda paths: folders)
    assert main(["methods", "--networks"]) == 0
    proposed = capsys.readouterr().out.splitlines()[-1]
    assert "lsgan → proposed_level2" in proposed and f"{2 * 224_971:,}" in proposed


def test_list_shows_a_broken_folder_and_goes_on(tmp_path, capsys):
    write(tmp_path, {**CARD, "kind": "magic"})
    assert main(["methods", "--path", str(tmp_path)]) == 0
    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    assert "broken" in lines["mine"] and "kind" in lines["mine"]
    assert "drl" in lines
