"""What trainings leave behind in a finished run."""

import pytest
from PIL import Image
from workflow_runs import MODELS

from ldct.common.files import read_json

pytestmark = pytest.mark.end_to_end


def test_loss_curves_of_all_stages(finished_run):
    figures = finished_run / "results/tiny/figures"
    width, height = Image.open(figures / "loss_curves.png").size
    assert width == 2148
    assert height > 600
    assert (figures / "loss_curves.pdf").is_file()
    inputs = read_json(figures / "loss_curves.png.provenance.json")["inputs"]
    histories = {f"results/tiny/models/{model}/0/history.csv" for model in MODELS}
    assert set(inputs) == histories


@pytest.mark.parametrize("model", MODELS)
def test_trainings_leave_weights_and_record_alone(finished_run, model):
    folder = finished_run / "results/tiny/models" / model / "0"
    record = read_json(folder / "training.json")
    assert record["steps"] == 2
    assert record["restarts"] == 0
    assert [path.name for path in folder.glob("checkpoint*")] == ["checkpoint.pt"]
    settings = read_json(folder / "weights.safetensors.provenance.json")["settings"]
    assert settings["validation"] == {}
    options = ["compile", "cuda_graphs", "tf32", "fused_optimizer", "deterministic"]
    assert settings["engine"] == dict.fromkeys(options, False)
