"""Full-image metrics beside PSNR and SSIM, and HU fidelity by tissue."""

METRICS_SETTINGS = {
    "titles": titles(METHODS),
    "statistics": interval_options(),
    "context": {
        "note": FIGURE_NOTE,
        "credit": DATASET.get("credit", ""),
    },
}


rule score:
    """PSNR, SSIM and RMSE of every test slice of one prediction file, under every protocol."""
    input:
        test=volume_files(f"{RUN}/test/{{patient}}"),
        prediction=f"{RUN}/predictions/{{method}}/{{seed}}/{{patient}}.npy",
        protocols=SETTINGS["protocol_files"],
        code=code_behind("score"),
    output:
        f"{RUN}/scores/{{method}}/{{seed}}/{{patient}}.parquet",
    log:
        f"{LOGS}/score/{{method}}/{{seed}}/{{patient}}.log",
    benchmark:
        f"{RUN}/benchmarks/score/{{method}}/{{seed}}/{{patient}}.tsv"
    conda:
        ENVIRONMENT
    params:
        test=subpath(input[0], parent=True),
    message:
        "Scoring {wildcards.method}, seed {wildcards.seed}, {wildcards.patient}"
    shell:
        "python -m ldct --log {log} score --test-folder {params.test}"
        " --prediction {input.prediction} --protocols {input.protocols:q} --method {wildcards.method}"
        " --seed {wildcards.seed} --workers {threads} --output {output}"


rule image_quality:
    """VIF, GMSD, LPIPS where wanted, and HU fidelity by tissue, for every slice of one prediction."""
    input:
        test=volume_files(f"{RUN}/test/{{patient}}"),
        prediction=f"{RUN}/predictions/{{method}}/{{seed}}/{{patient}}.npy",
        protocol=SETTINGS["protocol_file"],
        lpips=LPIPS_WEIGHTS,
        code=code_behind("measure-image-quality"),
    output:
        f"{RUN}/image_quality/{{method}}/{{seed}}/{{patient}}.parquet",
    log:
        f"{LOGS}/image_quality/{{method}}/{{seed}}/{{patient}}.log",
    benchmark:
        f"{RUN}/benchmarks/image_quality/{{method}}/{{seed}}/{{patient}}.tsv"
    conda:
        ENVIRONMENT
    params:
        test=subpath(input[0], parent=True),
        lpips=["--lpips", LPIPS, "--lpips-weights", *LPIPS_WEIGHTS] if LPIPS else [],
    message:
        "Image quality of {wildcards.method}, seed {wildcards.seed}, {wildcards.patient}"
    shell:
        "python -m ldct --log {log} measure-image-quality --test-folder {params.test}"
        " --prediction {input.prediction} --protocol {input.protocol:q} --method {wildcards.method}"
        " --seed {wildcards.seed} {params.lpips}"
        " --output {output}"


rule metrics_table:
    """Every metric of every method with its interval."""
    input:
        scores=tables_of("scores", METHODS),
        image_quality=tables_of("image_quality", METHODS),
        protocol=SETTINGS["protocol_file"],
        code=code_behind("metrics-table"),
    output:
        **table("metrics", "Metrics"),
    log:
        f"{LOGS}/metrics_table.log",
    benchmark:
        f"{RUN}/benchmarks/metrics_table.tsv"
    conda:
        JUDGING
    params:
        settings=as_json(METRICS_SETTINGS),
        folder=subpath(output.csv, parent=True),
    message:
        "Rendering the table of metrics"
    shell:
        "python -m ldct --log {log} metrics-table --scores {input.scores}"
        " --image-quality {input.image_quality} --protocol {input.protocol:q}"
        " --settings {params.settings:q} --output {params.folder}"


RESULTS += rules.metrics_table.output
