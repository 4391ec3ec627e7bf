"""Training of stages, tuning of classical methods, and predictions: a method is what writes them."""

# Settings that do not change the result (device, checkpoint_every, workers) reach commands as resources:
# as params, or written into the command, a new value would retrain everything.
TRAINING_CODE = code("ldct/training/*.py", "ldct/scaling.py", "ldct/data/tiles.py")
VALIDATION_CODE = (
    code("ldct/evaluation/metrics.py", "ldct/evaluation/protocol.py")
    if SETTINGS["validation_protocol_file"]
    else []
)


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
        perceptual=lambda wildcards: perceptual_weights(wildcards.model),
        protocol=SETTINGS["validation_protocol_file"] or [],
        code=TRAINING_CODE + VALIDATION_CODE,
    output:
        weights=f"{RUN}/models/{{model}}/{{seed}}/weights.safetensors",
        history=f"{RUN}/models/{{model}}/{{seed}}/history.csv",
        record=f"{RUN}/models/{{model}}/{{seed}}/training.json",
    log:
        f"logs/{SETTINGS['run']}/train/{{model}}/{{seed}}.log",
    benchmark:
        f"{RUN}/benchmarks/train/{{model}}/{{seed}}.tsv"
    # Trainings stand at the head of the longest chains: start them before BM3D.
    priority: 5
    conda:
        ENVIRONMENT
    # One for each process.
    threads: SETTINGS["engine"]["processes"]
    resources:
        mem_mb=training_memory_mb,
        gpu=gpus() * SETTINGS["engine"]["processes"],
        start=training_start(),
        device=SETTINGS["device"],
        jobs_per_gpu=SETTINGS["jobs_per_gpu"],
        checkpoint_every=SETTINGS["checkpoint_every"],
        workers=SETTINGS["engine"]["workers"],
        volumes_on_device=str(SETTINGS["engine"]["volumes_on_device"]).lower(),
    params:
        stage=stage_of,
        upstream=lambda wildcards: levels(upstream_of(wildcards.model)),
        volumes=expand(f"{DATA}/volumes/{{patient}}", patient=TRAIN_PATIENTS),
        scaling=SCALING,
        precision=SETTINGS["precision"],
        engine=as_json(engine_options()),
        processes=processes_of_training(),
        validation=validation_options(),
        perceptual=lambda wildcards, input: (
            f"--perceptual-weights {input.perceptual}" if input.perceptual else ""
        ),
        folder=subpath(output.weights, parent=True),
    message:
        "Training {wildcards.model}, seed {wildcards.seed}"
    shell:
        "{resources.start} --log {log} train --stage {params.stage:q} --upstream {params.upstream:q}"
        " --upstream-weights {input.upstream} {params.perceptual} --volumes {params.volumes} --tiles {input.tiles}"
        " --seed {wildcards.seed} {params.scaling} --precision {params.precision}"
        " --engine {params.engine:q} {params.validation}"
        " --checkpoint-every {resources.checkpoint_every} --workers {resources.workers}"
        " --volumes-on-device {resources.volumes_on_device}"
        " --device {resources.device}"
        " --gpus {resources.gpu} --jobs-per-gpu {resources.jobs_per_gpu} --threads {threads}"
        " --output {params.folder}"


rule denoise_network:
    """Predictions of a network or cascade for one test patient."""
    input:
        test=expand(f"{RUN}/test/{{{{patient}}}}/{{name}}", name=VOLUME_FILES),
        weights=lambda wildcards: weights_of(
            SETTINGS["chains"][wildcards.method], wildcards.seed
        ),
        code=code(
            "ldct/denoising/level_times.py",
            "ldct/denoising/network.py",
            "ldct/denoising/tiling.py",
            "ldct/training/chain.py",
            "ldct/scaling.py",
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
        mem_mb=4000,
        gpu=gpus(),
        device=SETTINGS["device"],
        jobs_per_gpu=SETTINGS["jobs_per_gpu"],
    params:
        levels=lambda wildcards: levels(SETTINGS["chains"][wildcards.method]),
        test=subpath(input[0], parent=True),
        scaling=SCALING,
        tile=SETTINGS["inference"]["tile"],
        precision=SETTINGS["inference"]["precision"],
    message:
        "Denoising {wildcards.patient} with {wildcards.method}, seed {wildcards.seed}"
    shell:
        "python -m ldct --log {log} denoise-network --levels {params.levels:q}"
        " --weights {input.weights} --test-folder {params.test} {params.scaling}"
        " --tile {params.tile} --precision {params.precision} --memory-mb {resources.mem_mb}"
        " --device {resources.device} --gpus {resources.gpu}"
        " --jobs-per-gpu {resources.jobs_per_gpu} --threads {threads} --output {output}"


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
    message:
        "Taking the quarter dose of {wildcards.patient} as it is ({wildcards.method})"
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
        method=methods_of_kind("classical", "network_finetuned"),
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
    message:
        "Tuning {wildcards.method} on the training patients"
    shell:
        "python -m ldct --log {log} tune-classical --method {params.folder:q}"
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
    message:
        "Denoising {wildcards.patient} with {wildcards.method} ({threads} processes)"
    shell:
        "python -m ldct --log {log} denoise-classical --method {params.folder:q}"
        " --parameters {input.parameters} --test-folder {params.test} --workers {threads}"
        " --output {output}"


rule denoise_finetuned:
    """Predictions of a method that starts from the trained weights of another one."""
    input:
        test=expand(f"{RUN}/test/{{{{patient}}}}/{{name}}", name=VOLUME_FILES),
        parameters=f"{RUN}/models/{{method}}/fixed/parameters.json",
        weights=lambda wildcards: weights_of(
            SETTINGS["chains"][wildcards.method], wildcards.seed
        ),
        method=lambda wildcards: method_code(wildcards.method),
        code=code(
            "ldct/denoising/finetuned.py", "ldct/training/chain.py", "ldct/scaling.py"
        ),
    output:
        f"{RUN}/predictions/{{method}}/{{seed}}/{{patient}}.npy",
    log:
        f"logs/{SETTINGS['run']}/denoise/{{method}}/{{seed}}/{{patient}}.log",
    benchmark:
        f"{RUN}/benchmarks/denoise/{{method}}/{{seed}}/{{patient}}.tsv"
    wildcard_constraints:
        method=methods_of_kind("network_finetuned"),
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=8000,
        gpu=gpus(),
        device=SETTINGS["device"],
        jobs_per_gpu=SETTINGS["jobs_per_gpu"],
    params:
        folder=lambda wildcards: SETTINGS["folders"][wildcards.method],
        levels=lambda wildcards: levels(SETTINGS["chains"][wildcards.method]),
        test=subpath(input[0], parent=True),
        scaling=SCALING,
    message:
        "Fine-tuning on and denoising {wildcards.patient} with {wildcards.method}, seed {wildcards.seed}"
    shell:
        "python -m ldct --log {log} denoise-finetuned --method {params.folder:q}"
        " --parameters {input.parameters} --levels {params.levels:q} --weights {input.weights}"
        " --test-folder {params.test} {params.scaling}"
        " --device {resources.device} --gpus {resources.gpu}"
        " --jobs-per-gpu {resources.jobs_per_gpu} --threads {threads} --output {output}"
