"""Each stage is trained once for each seed."""


rule train:
    """One stage, once per seed, however many methods use it."""
    input:
        tiles=TILES,
        volumes=train_files,
        upstream=upstream_of,
        perceptual=lambda wildcards: perceptual_weights(wildcards.model),
        protocol=SETTINGS["validation_protocol_file"] or [],
        code=code_of_training,
    output:
        weights=f"{RUN}/models/{{model}}/{{fold}}{{seed}}/weights.safetensors",
        history=f"{RUN}/models/{{model}}/{{fold}}{{seed}}/history.csv",
        record=f"{RUN}/models/{{model}}/{{fold}}{{seed}}/training.json",
    log:
        f"{LOGS}/train/{{model}}/{{fold}}{{seed}}.log",
    benchmark:
        f"{RUN}/benchmarks/train/{{model}}/{{fold}}{{seed}}.tsv"
    # Trainings stand at the head of the longest chains: start them before BM3D.
    priority: 5
    conda:
        ENVIRONMENT
    threads: SETTINGS["engine"]["processes"]
    resources:
        **training_resources(),
        mem_mb=training_memory_mb,
        runtime=minutes_of_training,
    params:
        stage=stage_of,
        upstream=levels_upstream,
        volumes=train_folders,
        options=training_options,
        processes=processes_of_training(),
        perceptual=perceptual_option,
        folder=subpath(output.weights, parent=True),
    message:
        "Training {wildcards.model}, {wildcards.fold}seed {wildcards.seed}"
    shell:
        "{resources.start} --log {log} train --stage {params.stage:q} --upstream {params.upstream:q}"
        " --upstream-weights {input.upstream} {params.perceptual} --volumes {params.volumes} --tiles {input.tiles}"
        " --seed {wildcards.seed} {params.options} --checkpoint-every {resources.checkpoint_every}"
        " --workers {resources.workers} --volumes-on-device {resources.volumes_on_device}"
        f"{DEVICE} --output {{params.folder}}"
