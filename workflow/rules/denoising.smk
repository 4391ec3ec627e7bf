"""Training of stages, tuning of classical methods, and predictions: a method is what writes them."""


rule denoise_network:
    """Predictions of a network or cascade for one test patient."""
    input:
        test=volume_files(f"{RUN}/test/{{patient}}"),
        weights=weights_of_method,
        code=code_behind("denoise-network"),
    output:
        f"{RUN}/predictions/{{method}}/{{seed}}/{{patient}}.npy",
    log:
        f"{LOGS}/denoise/{{method}}/{{seed}}/{{patient}}.log",
    benchmark:
        f"{RUN}/benchmarks/denoise/{{method}}/{{seed}}/{{patient}}.tsv"
    wildcard_constraints:
        method=methods_of_kind("network", "cascade"),
    conda:
        ENVIRONMENT
    resources:
        **on_device(),
        mem_mb=per_attempt(4000),
        runtime=minutes_of_method,
    params:
        levels=lambda wildcards: levels(SETTINGS["chains"][wildcards.method]),
        test=subpath(input[0], parent=True),
        options=inference_options,
    message:
        "Denoising {wildcards.patient} with {wildcards.method}, seed {wildcards.seed}"
    shell:
        "python -m ldct --log {log} denoise-network --levels {params.levels:q}"
        " --weights {input.weights} --test-folder {params.test} {params.options}"
        f" --memory-mb {{resources.mem_mb}}{DEVICE} --output {{output}}"


rule denoise_identity:
    """The Low Dose row: the quarter dose as it is."""
    input:
        test=volume_files(f"{RUN}/test/{{patient}}"),
        code=code_behind("denoise-identity"),
    output:
        f"{RUN}/predictions/{{method}}/fixed/{{patient}}.npy",
    log:
        f"{LOGS}/denoise/{{method}}/fixed/{{patient}}.log",
    benchmark:
        f"{RUN}/benchmarks/denoise/{{method}}/fixed/{{patient}}.tsv"
    wildcard_constraints:
        method=methods_of_kind("identity"),
    conda:
        ENVIRONMENT
    params:
        test=subpath(input[0], parent=True),
    message:
        "Taking the quarter dose of {wildcards.patient} as it is ({wildcards.method})"
    shell:
        "python -m ldct --log {log} denoise-identity --test-folder {params.test} --output {output}"


rule take_predictions:
    """Predictions that another program made for one test patient, checked to be HU of its slices."""
    input:
        test=volume_files(f"{RUN}/test/{{patient}}"),
        volume=f"{DATA}/volumes/{{patient}}/volume.json",
        given=given_to_method,
        code=code_behind("take-predictions"),
    output:
        f"{RUN}/predictions/{{method}}/fixed/{{patient}}.npy",
    log:
        f"{LOGS}/denoise/{{method}}/fixed/{{patient}}.log",
    benchmark:
        f"{RUN}/benchmarks/denoise/{{method}}/fixed/{{patient}}.tsv"
    wildcard_constraints:
        method=methods_of_kind("predictions"),
        patient="|".join(map(re.escape, TEST_PATIENTS)) or "(?!)",
    conda:
        ENVIRONMENT
    params:
        place=place_given,
        order=order_given,
        # Times too: a file that was changed may be older than the prediction.
        stamp=lambda wildcards, input: stamp_of(map(Path, input.given)),
        volume=subpath(input.volume, parent=True),
        test=subpath(input[0], parent=True),
    message:
        "Taking the given predictions of {wildcards.patient} ({wildcards.method})"
    shell:
        "python -m ldct --log {log} take-predictions --given {params.place:q}"
        " --patient {wildcards.patient} {params.order} --volume {params.volume}"
        " --test-folder {params.test} --output {output}"


rule tune_classical:
    """Parameters of a classical method, chosen on training patients."""
    input:
        volumes=train_files,
        code=lambda wildcards: code_behind("tune-classical", folder_of(wildcards)),
    output:
        f"{RUN}/models/{{method}}/{{fold}}fixed/parameters.json",
    log:
        f"{LOGS}/tune_classical/{{method}}/{{fold}}fixed.log",
    benchmark:
        f"{RUN}/benchmarks/tune_classical/{{method}}/{{fold}}fixed.tsv"
    wildcard_constraints:
        method=methods_of_kind("classical", "network_finetuned"),
    conda:
        ENVIRONMENT
    resources:
        runtime=minutes_of_method,
    params:
        folder=folder_of,
        settings=settings_of_card,
        volumes=train_folders,
    message:
        "Tuning {wildcards.method} on the training patients"
    shell:
        "python -m ldct --log {log} tune-classical --method {params.folder:q}"
        " --settings {params.settings:q} --volumes {params.volumes} --output {output}"


rule denoise_classical:
    """Predictions of a classical method: slices in parallel, one thread each."""
    input:
        test=volume_files(f"{RUN}/test/{{patient}}"),
        parameters=parameters_of_method,
        code=lambda wildcards: code_behind("denoise-classical", folder_of(wildcards)),
    output:
        f"{RUN}/predictions/{{method}}/fixed/{{patient}}.npy",
    log:
        f"{LOGS}/denoise/{{method}}/fixed/{{patient}}.log",
    benchmark:
        f"{RUN}/benchmarks/denoise/{{method}}/fixed/{{patient}}.tsv"
    wildcard_constraints:
        method=methods_of_kind("classical"),
    conda:
        ENVIRONMENT
    threads: half_of_cores()
    resources:
        mem_mb=lambda wildcards, threads, attempt: (600 + 400 * threads) * attempt,
        runtime=minutes_of_method,
    params:
        folder=folder_of,
        test=subpath(input[0], parent=True),
    message:
        "Denoising {wildcards.patient} with {wildcards.method} ({threads} processes)"
    shell:
        "python -m ldct --log {log} denoise-classical --method {params.folder:q}"
        " --parameters {input.parameters} --test-folder {params.test} --workers {threads}"
        " --output {output}"


rule denoise_finetuned:
    """Predictions of a method that starts from the trained weights of another one."""
    input:
        test=volume_files(f"{RUN}/test/{{patient}}"),
        parameters=parameters_of_method,
        weights=weights_of_method,
        code=lambda wildcards: code_behind("denoise-finetuned", folder_of(wildcards)),
    output:
        f"{RUN}/predictions/{{method}}/{{seed}}/{{patient}}.npy",
    log:
        f"{LOGS}/denoise/{{method}}/{{seed}}/{{patient}}.log",
    benchmark:
        f"{RUN}/benchmarks/denoise/{{method}}/{{seed}}/{{patient}}.tsv"
    wildcard_constraints:
        method=methods_of_kind("network_finetuned"),
    conda:
        ENVIRONMENT
    resources:
        **on_device(),
        mem_mb=per_attempt(8000),
        runtime=minutes_of_method,
    params:
        folder=folder_of,
        levels=lambda wildcards: levels(SETTINGS["chains"][wildcards.method]),
        test=subpath(input[0], parent=True),
        scaling=scaling_of_method,
    message:
        "Fine-tuning on and denoising {wildcards.patient} with {wildcards.method}, seed {wildcards.seed}"
    shell:
        "python -m ldct --log {log} denoise-finetuned --method {params.folder:q}"
        " --parameters {input.parameters} --levels {params.levels:q} --weights {input.weights}"
        f" --test-folder {{params.test}} {{params.scaling}}{DEVICE} --output {{output}}"
