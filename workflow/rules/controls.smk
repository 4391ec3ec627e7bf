"""Control methods: predictions that show what a metric rewards and what it misses."""

CONTROL_FOLDERS = [SETTINGS["folders"][name] for name in CONTROLS]
CONTROL_SETTINGS = [
    SETTINGS["control_cards"][name].get("settings", {}) for name in CONTROLS
]
CONTROL_PARAMETERS = [
    f"{RUN}/models/{name}/{{fold}}fixed/parameters.json" for name in CONTROLS
]
# The low-dose image, to which the table compares the controls; it is a method of its own.
LOW_DOSE = [
    name for name, card in SETTINGS["cards"].items() if card["kind"] == "identity"
][:1]
COMPARED_WITH = LOW_DOSE + CONTROLS
CONTROL_CONTEXT = {
    "titles": titles(COMPARED_WITH),
    "note": FIGURE_NOTE,
    "credit": DATASET.get("credit", ""),
}


if CONTROLS:

    rule tune_controls:
        """Parameters of all controls, chosen on training patients."""
        input:
            volumes=train_files,
            code=code_behind("tune-controls", *CONTROL_FOLDERS),
        output:
            CONTROL_PARAMETERS,
        log:
            f"{LOGS}/{{fold}}tune_controls.log",
        benchmark:
            f"{RUN}/benchmarks/{{fold}}tune_controls.tsv"
        conda:
            ENVIRONMENT
        params:
            folders=CONTROL_FOLDERS,
            settings=as_json(CONTROL_SETTINGS),
            volumes=train_folders,
        message:
            "Tuning the controls on the training patients"
        shell:
            "python -m ldct --log {log} tune-controls --controls {params.folders:q}"
            " --settings {params.settings:q} --volumes {params.volumes} --outputs {output}"

    rule denoise_controls:
        """Predictions of all controls for one patient: blur, shift, shuffle, NDCT itself."""
        input:
            test=volume_files(f"{RUN}/test/{{patient}}"),
            parameters=lambda wildcards: expand(
                CONTROL_PARAMETERS, fold=fold_tested_on(wildcards.patient)
            ),
            code=code_behind("denoise-controls", *CONTROL_FOLDERS),
        output:
            [f"{RUN}/predictions/{name}/fixed/{{patient}}.npy" for name in CONTROLS],
        log:
            f"{LOGS}/denoise_controls/{{patient}}.log",
        benchmark:
            f"{RUN}/benchmarks/denoise_controls/{{patient}}.tsv"
        conda:
            ENVIRONMENT
        params:
            folders=CONTROL_FOLDERS,
            test=subpath(input[0], parent=True),
        message:
            "Making the control predictions of {wildcards.patient}"
        shell:
            "python -m ldct --log {log} denoise-controls --controls {params.folders:q}"
            " --parameters {input.parameters} --test-folder {params.test} --outputs {output}"


if CONTROLS and LOW_DOSE:

    rule controls_table:
        """What each control does to each metric; fails where a metric's code cannot be right."""
        input:
            scores=tables_of("scores", COMPARED_WITH),
            image_quality=tables_of("image_quality", COMPARED_WITH),
            texture=measured("texture", COMPARED_WITH),
            lesion_bench=measured("lesion_bench", COMPARED_WITH),
            detectability=measured("detectability", COMPARED_WITH),
            protocol=SETTINGS["protocol_file"],
            code=code_behind("controls-table"),
        output:
            **table("controls", "Metrics"),
        log:
            f"{LOGS}/controls_table.log",
        benchmark:
            f"{RUN}/benchmarks/controls_table.tsv"
        conda:
            JUDGING
        params:
            settings=as_json(CONTROL_CONTEXT),
            folder=subpath(output.csv, parent=True),
        message:
            "Rendering the table of the controls"
        shell:
            "python -m ldct --log {log} controls-table --scores {input.scores}"
            " --image-quality {input.image_quality} --texture {input.texture}"
            " --lesion-bench {input.lesion_bench} --detectability {input.detectability}"
            " --protocol {input.protocol:q} --settings {params.settings:q} --output {params.folder}"

    RESULTS += rules.controls_table.output
