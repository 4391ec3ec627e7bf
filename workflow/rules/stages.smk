"""What rules need to know of stages: settings, weights, how a training is started and judged."""

import shlex

from ldct.common.files import read_yaml
from ldct.common.errors import InputError
from ldct.configuration.given import given_files, place_of, stamp_of
from ldct.configuration.registry import find_methods
from ldct.configuration.registry import check_names, check_rules
from ldct.configuration.stages import (
    network_files,
    perceptual_network,
    requested_memory_mb,
    resolve_models,
    scaling_from,
)
from ldct.devices.torch_build import CHANGE_BITS, gpus_of_a_job


def include_rules_of_methods():
    """Include `rules.smk` of external methods; one that is broken is left out, with the reason."""
    suite = Path(workflow.basedir)
    for method in [*METHODS]:
        if SETTINGS["cards"][method]["kind"] != "external":
            continue
        rules = Path(SETTINGS["folders"][method], "rules.smk")
        depth, before = len(workflow.included_stack), list(workflow.rules)
        try:
            check_names(
                rules, [*suite.glob("workflow/rules/*.smk"), suite / "Snakefile"]
            )
            # What the keyword does, which cannot stand in a try block.
            workflow.include(str(rules.resolve()))
            own = [rule for rule in workflow.rules if rule not in before]
            check_rules(own, predictions_of([method], TEST_PATIENTS), rules)
        except Exception as error:
            del workflow.included_stack[depth:]
            told = isinstance(error, InputError)
            problem = (
                str(error) if told else f"{rules}: {type(error).__name__}: {error}"
            )
            METHODS.remove(method)
            MEASURED.remove(method)
            del SETTINGS["cards"][method]
            SETTINGS["broken"][method] = " ".join(problem.split())


def on_device(count=1):
    """Resources of jobs with networks on up to `count` GPUs, and the device that was asked for."""
    return {
        "gpu": gpus_of_a_job(SETTINGS["device"]) * count,
        **chosen("device", "jobs_per_gpu"),
    }


# Options of verbs that run networks; resources, so that another device makes nothing anew.
DEVICE = (
    " --device {resources.device} --gpus {resources.gpu}"
    " --jobs-per-gpu {resources.jobs_per_gpu} --threads {threads}"
)


def stage_of(wildcards):
    return as_json(SETTINGS["models"][wildcards.model])


def upstream_of(wildcards):
    """Trained levels whose output a stage is trained on."""
    upstream = SETTINGS["models"][wildcards.model]["upstream"]
    return weights_of(upstream, wildcards.fold + wildcards.seed)


def levels_upstream(wildcards):
    return levels(SETTINGS["models"][wildcards.model]["upstream"])


def scaling_options(model):
    """Network units of a model and all levels before it: its card's, or the run's."""
    found = scaling_from(SETTINGS["models"][model], SETTINGS["scaling"])
    return f"--window {found.lower} {found.upper}{' --clip' if found.clip else ''}"


def scaling_of_method(wildcards):
    return scaling_options(SETTINGS["chains"][wildcards.method][-1])


def inference_options(wildcards):
    """Arguments that predictions of networks depend on, beside their levels."""
    given = SETTINGS["inference"]
    units = scaling_of_method(wildcards)
    return f"{units} --tile {given['tile']} --precision {given['precision']}"


def engine_options():
    """Options of trainings that may change the last bits of the weights."""
    return {name: SETTINGS["engine"][name] for name in CHANGE_BITS}


def training_options(wildcards):
    """Arguments of a training that its result depends on, beside its stage and its files."""
    return (
        f"{scaling_options(wildcards.model)} --precision {SETTINGS['precision']}"
        f" --engine {shlex.quote(as_json(engine_options()))} {validation_options()}"
    )


def training_resources():
    """What a training's result does not depend on: as params, a new value would retrain it."""
    engine = SETTINGS["engine"]
    return {
        **on_device(engine["processes"]),
        "start": training_start(),
        "checkpoint_every": SETTINGS["checkpoint_every"],
        "workers": engine["workers"],
        "volumes_on_device": str(engine["volumes_on_device"]).lower(),
    }


def perceptual_option(wildcards, input):
    return f"--perceptual-weights {input.perceptual}" if input.perceptual else ""


def code_of_training(wildcards):
    unused = () if SETTINGS["validation_protocol_file"] else ("_validation",)
    return code_of_networks(
        "train", SETTINGS["models"], [wildcards.model], without=unused
    )


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


def training_memory_mb(wildcards, attempt):
    stage = SETTINGS["models"][wildcards.model]
    return requested_memory_mb(stage, SETTINGS["engine"]["processes"]) * attempt


@cache
def planned():
    """What `ldct plan --json results/RUN/plan.json` foretold; nothing where nobody planned."""
    plan = Path(RUN, "plan.json")
    return read_json(plan) if plan.is_file() else {}


def minutes(entries, name, attempt):
    """Time that a cluster is asked for: that of the plan and half of it, or four hours."""
    seconds = planned().get(entries, {}).get(name, {}).get("seconds")
    once = 240 if seconds is None else 30 + round(1.5 * seconds / 60)
    return once * attempt


def minutes_of_training(wildcards, attempt):
    return minutes("stages", wildcards.model, attempt)


def minutes_of_method(wildcards, attempt):
    return minutes("methods", wildcards.method, attempt)


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


def code_of_networks(verb, resolved, models, **options):
    """Files behind a verb that builds the networks of some of the `resolved` stages."""
    files = {file for model in models for file in network_files(resolved, model)}
    return code_behind(verb, *sorted(files), **options)


def levels(models):
    """What is needed to apply trained models one after the other."""
    keys = ("model", "network", "target", "inputs")
    return as_json(
        [{key: SETTINGS["models"][name][key] for key in keys} for name in models]
    )


def weights_of(models, training):
    return [f"{RUN}/models/{model}/{training}/weights.safetensors" for model in models]


def weights_of_method(wildcards):
    training = fold_tested_on(wildcards.patient) + wildcards.seed
    return weights_of(SETTINGS["chains"][wildcards.method], training)


def parameters_of_method(wildcards):
    """What was tuned on the patients that a method's test patient is not among."""
    fold = fold_tested_on(wildcards.patient)
    return f"{RUN}/models/{wildcards.method}/{fold}fixed/parameters.json"


def folder_of(wildcards):
    return SETTINGS["folders"][wildcards.method]


def place_given(wildcards):
    """Folder of the predictions that a card names."""
    method = wildcards.method
    return str(place_of(Path(folder_of(wildcards)), SETTINGS["cards"][method]))


def given_to_method(wildcards):
    return list(map(str, given_files(Path(place_given(wildcards)), wildcards.patient)))


def order_given(wildcards):
    order = SETTINGS["cards"][wildcards.method].get("slice_order")
    return f"--slice-order {order}" if order else ""


def settings_of_card(wildcards):
    return as_json(SETTINGS["cards"][wildcards.method].get("settings", {}))


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
    if WEIGHTS or network is None:
        return []
    own = (SETTINGS.get("perceptual_weights") or {}).get(network)
    return f"{RUN if own else 'data'}/weights/{network}.safetensors"


def titled_level(model):
    """One level of a cascade, with what figures call it: its method's title, or its network."""
    level = SETTINGS["models"][model]
    network = level["network"]["name"].upper()
    return {**level, "title": SETTINGS["cards"].get(model, {}).get("title", network)}
