"""What rules need to know of stages: settings, weights, how a training is started and judged."""

import shlex

from ldct.registry import find_methods
from ldct.stages import (
    network_files,
    perceptual_network,
    requested_memory_mb,
    resolve_models,
)
from ldct.torch_build import CHANGE_BITS


def stage_of(wildcards):
    return as_json(SETTINGS["models"][wildcards.model])


def engine_options():
    """Options of trainings that may change the last bits of the weights."""
    return {name: SETTINGS["engine"][name] for name in CHANGE_BITS}


def training_start():
    """How a training's process is started: plainly, or as several that torchrun looks after."""
    engine = SETTINGS["engine"]
    if engine["processes"] == 1 and not engine["torchrun"]:
        return "python -m ldct"
    machines = engine["torchrun"] or ["--standalone"]
    # Time for a step and a checkpoint after SIGTERM.
    options = [f"--nproc-per-node={engine['processes']}", "--shutdown-timeout=120"]
    given = " ".join(map(shlex.quote, [*machines, *options]))
    # Without "--" torchrun takes options of ours for abbreviations of its own.
    return f"python -m torch.distributed.run {given} -m -- ldct"


def processes_of_training():
    """What the bits of weights depend on: processes of a machine, and machines."""
    machines = [
        text for text in SETTINGS["engine"]["torchrun"] if text.startswith("--nnodes")
    ]
    return [SETTINGS["engine"]["processes"], *machines]


def training_memory_mb(wildcards):
    stage = SETTINGS["models"][wildcards.model]
    return requested_memory_mb(stage, SETTINGS["engine"]["processes"])


def validation_options():
    """The held-out patient as arguments of a training, or nothing."""
    if SETTINGS["validation_protocol_file"] is None:
        return ""
    keys = ("patient", "every", "slices")
    chosen = as_json({key: SETTINGS["validation"][key] for key in keys})
    file = SETTINGS["validation_protocol_file"]
    return (
        f"--validation {shlex.quote(chosen)} --validation-protocol {shlex.quote(file)}"
    )


def upstream_of(model):
    return SETTINGS["models"][model]["upstream"]


def levels(models):
    """What is needed to apply trained models one after the other."""
    keys = ("model", "network", "target", "inputs")
    return as_json(
        [{key: SETTINGS["models"][name][key] for key in keys} for name in models]
    )


def weights_of(models, seed):
    return [f"{RUN}/models/{model}/{seed}/weights.safetensors" for model in models]


def models_of_plan(plan):
    """Resolved stages that a micro-benchmark's variants name, under the run's budget."""
    names = read_yaml(plan)["methods"]
    folders = find_methods([REPOSITORY / "methods"])
    return resolve_models(
        names, folders, SETTINGS["budget"], SETTINGS["tiles"]["size"]
    )[0]


def perceptual_weights(model):
    """Weights behind a model's perceptual loss: the published ones, or the user's own."""
    network = perceptual_network(SETTINGS["models"], model)
    if network is None:
        return []
    own = (SETTINGS.get("perceptual_weights") or {}).get(network)
    return f"{RUN if own else 'data'}/weights/{network}.safetensors"
