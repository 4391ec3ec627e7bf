# RUN (results/<run>) and SETTINGS are the suite's; see methods/README.md, "Rules of its own".
import json

NAFNET = SETTINGS["cards"]["nafnet"]["settings"]
NAFNET_VOLUMES = [
    f"data/{SETTINGS['dataset']['name']}/volumes/{patient}"
    for patient in SETTINGS["train_patients"]
]


def nafnet_steps():
    """A budget of so many steps, or the card's number for a named one."""
    budget = SETTINGS["budget"]
    return NAFNET["steps"][budget] if isinstance(budget, str) else budget["steps"]


rule nafnet_train:
    input:
        [
            f"{folder}/{dose}.npy"
            for folder in NAFNET_VOLUMES
            for dose in ("full", "quarter")
        ],
        program=workflow.source_path("nafnet.py"),
        network=workflow.source_path("network.py"),
    output:
        f"{RUN}/models/nafnet/fixed/weights.safetensors",
    log:
        f"logs/{SETTINGS['run']}/train/nafnet/fixed.log",
    conda:
        "environment.yml"
    threads: 1
    resources:
        mem_mb=4000,
    params:
        settings=json.dumps(NAFNET),
        steps=nafnet_steps(),
        volumes=NAFNET_VOLUMES,
    message:
        "Training NAFNet"
    shell:
        "python {input.program} train {params.settings:q} {params.steps} {output} {params.volumes}"
        " 2> {log}"


rule nafnet_denoise:
    input:
        test=f"{RUN}/test/{{patient}}/quarter.npy",
        weights=rules.nafnet_train.output,
        program=workflow.source_path("nafnet.py"),
        network=workflow.source_path("network.py"),
    output:
        f"{RUN}/predictions/nafnet/fixed/{{patient}}.npy",
    log:
        f"logs/{SETTINGS['run']}/denoise/nafnet/fixed/{{patient}}.log",
    benchmark:
        f"{RUN}/benchmarks/denoise/nafnet/fixed/{{patient}}.tsv"
    conda:
        "environment.yml"
    threads: 1
    resources:
        mem_mb=4000,
    params:
        settings=json.dumps(NAFNET),
    message:
        "Denoising {wildcards.patient} with NAFNet"
    shell:
        "python {input.program} denoise {params.settings:q} {input.weights} {input.test} {output}"
        " 2> {log}"
