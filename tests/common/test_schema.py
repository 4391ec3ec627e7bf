"""Schemas: committed files pass, and messages are for people."""

import pytest
import yaml
from repository_files import REPOSITORY

from ldct.common.errors import InputError
from ldct.common.schema import validate

CONFIG = REPOSITORY / "config"
DEFAULT = yaml.safe_load((CONFIG / "config.yaml").read_text(encoding="utf-8"))
DATASET = yaml.safe_load((CONFIG / "datasets/aapm.yaml").read_text(encoding="utf-8"))
PROTOCOL = yaml.safe_load((CONFIG / "protocols/abdomen.yaml").read_text(encoding="utf-8"))


def engine(**options):
    """The default configuration with other options of the engine."""
    return DEFAULT | {"engine": DEFAULT["engine"] | options}


def inference(**options):
    """The default configuration with other options of the inference."""
    return DEFAULT | {"inference": DEFAULT["inference"] | options}


def coded(patient, **more):
    return DATASET | {"patients": {patient: {"split": "test"} | more}}


def simulated(**changes):
    """A data set of full-dose series."""
    simulate = {"dose_fraction": 0.25, "noise_ratio": 2.0, "seed": 1} | changes
    return {k: v for k, v in DATASET.items() if k != "simulated"} | {"simulate": simulate}


@pytest.mark.parametrize("patient", ["R01-001", "113_HM10395", "1.3.6.1.4.1.9328.50.1.0117", "_1"])
def test_codes_of_patients_are_free(patient):
    validate(coded(patient), "dataset", "here")


def test_options_of_torchrun_for_several_machines_are_valid():
    meeting = ["--rdzv-backend=c10d", "--rdzv-endpoint=first-machine:29500", "--rdzv-id=my-run"]
    validate(engine(torchrun=["--nnodes=2", *meeting]), "config", "here")


@pytest.mark.parametrize("folder", ["dataset", "protocol"])
def test_committed_descriptions_are_valid(folder):
    files = sorted((CONFIG / f"{folder}s").glob("*.yaml"))
    assert len(files) >= 3
    for file in files:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
        validate(content, folder, str(file))
        assert content["name"] == file.stem


def test_paper_overlay_is_valid_over_the_default():
    overlay = yaml.safe_load((CONFIG / "paper.yaml").read_text(encoding="utf-8"))
    validate(DEFAULT | overlay, "config", "paper.yaml")


@pytest.mark.parametrize(
    ("schema", "content", "message"),
    [
        ("config", DEFAULT | {"run": "a b"}, r"^here: key 'run': found 'a b', expected a folder"),
        ("config", {**DEFAULT, "tiles": DEFAULT["tiles"] | {"sise": 1}}, "unknown key 'sise' in"),
        ("config", {k: v for k, v in DEFAULT.items() if k != "seeds"}, "missing seeds"),
        ("config", DEFAULT | {"methods": "drl"}, "from the command line use --configfile"),
        ("dataset", coded("a", slices="9"), "found '9', expected a number of slices from 1"),
        ("dataset", DATASET | {"patients": {}}, "found {}, expected one patient's code and split"),
        ("dataset", coded(1), "key 'patients': found 1, expected a code in quotes"),
        ("dataset", coded("a b"), "key 'patients': found 'a b', expected a code in quotes"),
        ("dataset", coded("discs"), "key 'patients': found 'discs', .* not the word discs"),
        ("dataset", simulated(seed=-1), "key 'simulate.seed': found -1, expected a whole number"),
        ("dataset", simulated(dose_fraction=1), "found 1, expected a number between 0 and 1"),
        ("dataset", simulated(noise=2), "unknown key 'noise' in 'simulate'"),
        (
            "dataset",
            simulated() | {"simulated": False},
            "key 'simulated': found false, expected true",
        ),
        ("dataset", {k: v for k, v in DATASET.items() if k != "simulated"}, "missing simulated"),
        ("dataset", DATASET | {"simulated": "no"}, "expected true where the quarter dose is"),
        (
            "dataset",
            DATASET | {"patients": {"a": {"split": "x"}, "b": {"split": "test"}}},
            "key 'patients.a.split': found 'x', expected one of train, test",
        ),
        ("protocol", PROTOCOL | {"window": [0]}, "key 'window': found"),
        ("protocol", PROTOCOL | {"ssim": {"kind": "round"}}, "expected one of uniform, gaussian"),
        ("config", DEFAULT | {"engine": None}, "found null, expected a mapping"),
        ("config", engine(fused_optimizer="yes"), "expected one of auto, true, false$"),
        ("config", engine(compile=None), "found null, expected true or false"),
        ("config", engine(torchrun=["--nproc-per-node=4"]), "processes is engine.processes$"),
        ("config", engine(torchrun=["--nnodes 2"]), "its value and no spaces, e.g. --nnodes=2"),
        ("config", engine(torchrun=["nnodes=2"]), "expected an option of torchrun with its value"),
        ("config", inference(tile=33), r"found 33, expected auto, or a multiple of 32 from 32"),
        ("config", DEFAULT | {"budget": {"step": 1}}, r"unknown key 'step' in 'budget' .*'steps'"),
        ("config", DEFAULT | {"seeds": [0, -1]}, "key 'seeds.1': found -1, expected at least 0"),
        ("config", DEFAULT | {"seeds": ["a"]}, "key 'seeds.0': found 'a', expected a whole number"),
    ],
)
def test_messages_name_place_key_found_and_expected(schema, content, message):
    with pytest.raises(InputError, match=message) as caught:
        validate(content, schema, "here")
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("here: ")


CARD = {
    **dict.fromkeys(["title", "source"], "a test"),
    "kind": "network",
    "in_paper": False,
    "departures": [],
    "network": "drl",
    "loss": {"mse": 1.0},
    "recipe": {"learning_rate": 1e-3, "betas": [0.9, 0.999], "batch": 2, "epochs": 1},
}


def renamed(content, key, typo):
    """`content` with a key under another name."""
    return {typo if name == key else name: value for name, value in content.items()}


STAGE = {name: CARD[name] for name in ("network", "loss", "recipe")} | {"target": "image"}


@pytest.mark.parametrize(
    ("schema", "content", "typo", "meant"),
    [
        ("method", renamed(CARD, "recipe", "recepie"), "recepie", "recipe"),
        ("method", renamed(CARD, "kind", "Knd"), "Knd", "kind"),
        ("method", CARD | {"network": {"nam": "drl"}}, "nam", "name"),
        ("method", CARD | {"loss": {"mae": {"match_gradiant": 1}}}, "match_gradiant", None),
        ("method", CARD | {"stages": [renamed(STAGE, "loss", "los")]}, "los", "loss"),
        ("config", renamed(DEFAULT, "methods", "METHOD"), "METHOD", "methods"),
        ("dataset", renamed(DATASET, "root", "rot"), "rot", "root"),
        ("protocol", renamed(PROTOCOL, "window", "windw"), "windw", "window"),
    ],
)
def test_a_typo_is_told_rather_than_the_missing_key(schema, content, typo, meant):
    with pytest.raises(InputError, match=f"unknown key '{typo}'.*did you mean '{meant or ''}"):
        validate(content, schema, "here")


@pytest.mark.parametrize("key", ["window", "optimizer", "gpu"])
def test_a_key_that_is_no_typo_gets_no_guess(key):
    with pytest.raises(InputError, match=f"unknown key '{key}'; allowed"):
        validate(CARD | {key: 1}, "method", "here")


def test_a_key_that_is_no_text_is_told():
    with pytest.raises(InputError, match="unknown key 'True'; allowed"):
        validate(CARD | {True: 1, "x": 2}, "method", "here")
