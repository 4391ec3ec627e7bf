"""Training of stages, tuning of classical methods, and predictions: a method is what writes them."""


rule train:
    """One stage, once per seed, however many methods use it."""
    input:
        tiles=f"{DATA}/tiles.npy",
        volumes=expand(
            f"{DATA}/volumes/{{patient}}/{{name}}",
            patient=TRAIN_PATIENTS,
            name=VOLUME_FILES,
        ),
        upstream=lambda wildcards: weights_of(
            upstream_of(wildcards.model), wildcards.seed
        ),
        networks=lambda wildcards: network_files(SETTINGS["models"], wildcards.model),
        code=code("ldct/training/*.py", "ldct/scaling.py", "ldct/data/tiles.py"),
    output:
        weights=f"{RUN}/models/{{model}}/{{seed}}/weights.safetensors",
        history=f"{RUN}/models/{{model}}/{{seed}}/history.csv",
    log:
        f"logs/{SETTINGS['run']}/train/{{model}}/{{seed}}.log",
    benchmark:
        f"{RUN}/benchmarks/train/{{model}}/{{seed}}.tsv"
    # Trainings stand at the head of the longest chains: start them before BM3D.
    priority: 5
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=2500,
        gpu=gpus(),
    params:
        stage=stage_of,
        upstream=lambda wildcards: levels(upstream_of(wildcards.model)),
        volumes=expand(f"{DATA}/volumes/{{patient}}", patient=TRAIN_PATIENTS),
        scaling=SCALING,
        precision=SETTINGS["precision"],
        folder=subpath(output.weights, parent=True),
    shell:
        "python -m ldct --log {log} train --stage {params.stage:q} --upstream {params.upstream:q}"
        " --upstream-weights {input.upstream} --volumes {params.volumes} --tiles {input.tiles}"
        " --seed {wildcards.seed} {params.scaling} --precision {params.precision}"
        f" --checkpoint-every {SETTINGS['checkpoint_every']} --device {SETTINGS['device']}"
        " --gpus {resources.gpu} --threads {threads} --output {params.folder}"


rule denoise_network:
    """Predictions of a network or cascade for one test patient."""
    input:
        test=expand(f"{RUN}/test/{{{{patient}}}}/{{name}}", name=VOLUME_FILES),
        weights=lambda wildcards: weights_of(
            SETTINGS["chains"][wildcards.method], wildcards.seed
        ),
        code=code(
            "ldct/denoising/network.py", "ldct/training/chain.py", "ldct/scaling.py"
        ),
    output:
        f"{RUN}/predictions/{{method}}/{{seed}}/{{patient}}.npy",
    log:
        f"logs/{SETTINGS['run']}/denoise/{{method}}/{{seed}}/{{patient}}.log",
    benchmark:
        f"{RUN}/benchmarks/denoise/{{method}}/{{seed}}/{{patient}}.tsv"
    wildcard_constraints:
        method=methods_of_kind("network", "cascade"),
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=2500,
        gpu=gpus(),
    params:
        levels=lambda wildcards: levels(SETTINGS["chains"][wildcards.method]),
        test=subpath(input[0], parent=True),
        scaling=SCALING,
    shell:
        "python -m ldct --log {log} denoise-network --levels {params.levels:q}"
        " --weights {input.weights} --test-folder {params.test} {params.scaling}"
        f" --device {SETTINGS['device']}"
        " --gpus {resources.gpu} --threads {threads} --output {output}"


rule denoise_identity:
    """The Low Dose row: the quarter dose as it is."""
    input:
        test=expand(f"{RUN}/test/{{{{patient}}}}/{{name}}", name=VOLUME_FILES),
    output:
        f"{RUN}/predictions/{{method}}/fixed/{{patient}}.npy",
    log:
        f"logs/{SETTINGS['run']}/denoise/{{method}}/fixed/{{patient}}.log",
    benchmark:
        f"{RUN}/benchmarks/denoise/{{method}}/fixed/{{patient}}.tsv"
    wildcard_constraints:
        method=methods_of_kind("identity"),
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=1500,
        gpu=0,
    params:
        test=subpath(input[0], parent=True),
    shell:
        "python -m ldct --log {log} denoise-identity --test-folder {params.test} --output {output}"


rule tune_classical:
    """Parameters of a classical method, chosen on training patients."""
    input:
        volumes=expand(
            f"{DATA}/volumes/{{patient}}/{{name}}",
            patient=TRAIN_PATIENTS,
            name=VOLUME_FILES,
        ),
        method=lambda wildcards: method_code(wildcards.method),
        code=CLASSICAL_CODE,
    output:
        f"{RUN}/models/{{method}}/fixed/parameters.json",
    log:
        f"logs/{SETTINGS['run']}/tune_classical/{{method}}.log",
    benchmark:
        f"{RUN}/benchmarks/tune_classical/{{method}}.tsv"
    wildcard_constraints:
        method=methods_of_kind("classical"),
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=1500,
        gpu=0,
    params:
        folder=lambda wildcards: SETTINGS["folders"][wildcards.method],
        settings=lambda wildcards: as_json(
            SETTINGS["cards"][wildcards.method].get("settings", {})
        ),
        volumes=expand(f"{DATA}/volumes/{{patient}}", patient=TRAIN_PATIENTS),
    shell:
        "python -m ldct --log {log} tune-classical --method {params.folder}"
        " --settings {params.settings:q} --volumes {params.volumes} --output {output}"


rule denoise_classical:
    """Predictions of a classical method: slices in parallel, one thread each."""
    input:
        test=expand(f"{RUN}/test/{{{{patient}}}}/{{name}}", name=VOLUME_FILES),
        parameters=f"{RUN}/models/{{method}}/fixed/parameters.json",
        method=lambda wildcards: method_code(wildcards.method),
        code=CLASSICAL_CODE,
    output:
        f"{RUN}/predictions/{{method}}/fixed/{{patient}}.npy",
    log:
        f"logs/{SETTINGS['run']}/denoise/{{method}}/fixed/{{patient}}.log",
    benchmark:
        f"{RUN}/benchmarks/denoise/{{method}}/fixed/{{patient}}.tsv"
    wildcard_constraints:
        method=methods_of_kind("classical"),
    conda:
        ENVIRONMENT
    threads: half_of_cores()
    resources:
        mem_mb=lambda wildcards, threads: 600 + 400 * threads,
        gpu=0,
    params:
        folder=lambda wildcards: SETTINGS["folders"][wildcards.method],
        test=subpath(input[0], parent=True),
    shell:
        "python -m ldct --log {log} denoise-classical --method {params.folder}"
        " --parameters {input.parameters} --test-folder {params.test} --workers {threads}"
        " --output {output}"
