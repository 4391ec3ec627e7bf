"""Control methods: predictions whose order every metric must get right."""

CONTROL_FOLDERS = [SETTINGS["folders"][name] for name in CONTROLS]
CONTROL_SETTINGS = [
    SETTINGS["control_cards"][name].get("settings", {}) for name in CONTROLS
]
CONTROL_PARAMETERS = [f"{RUN}/models/{name}/fixed/parameters.json" for name in CONTROLS]
# The low-dose image itself is the first control; it is a method of its own.
IDENTITIES = [
    name for name, card in SETTINGS["cards"].items() if card["kind"] == "identity"
]
REFERENCES = IDENTITIES[:1] + CONTROLS


def context_of_controls(wildcards):
    return as_json(
        {
            "identity": next(iter(IDENTITIES), None),
            "titles": titles(REFERENCES),
            "statistics": interval_options(),
            "note": FIGURE_NOTE,
            "credit": DATASET.get("credit", ""),
        }
    )


def controls_measured(table):
    """Tables of the controls, as far as this run makes them."""
    return lambda wildcards: made_by_rules(tables_of(table, REFERENCES))


if CONTROLS:

    rule tune_controls:
        """Parameters of all controls, chosen on training patients."""
        input:
            volumes=TRAIN_FILES,
            code=code_behind("tune-controls", *CONTROL_FOLDERS),
        output:
            CONTROL_PARAMETERS,
        log:
            f"{LOGS}/tune_controls.log",
        benchmark:
            f"{RUN}/benchmarks/tune_controls.tsv"
        conda:
            ENVIRONMENT
        params:
            folders=CONTROL_FOLDERS,
            settings=as_json(CONTROL_SETTINGS),
            volumes=TRAIN_FOLDERS,
        message:
            "Tuning the controls on the training patients"
        shell:
            "python -m ldct --log {log} tune-controls --controls {params.folders:q}"
            " --settings {params.settings:q} --volumes {params.volumes} --outputs {output}"

    rule denoise_controls:
        """Predictions of all controls for one patient: blur, shift, shuffle, NDCT itself."""
        input:
            test=volume_files(f"{RUN}/test/{{patient}}"),
            parameters=CONTROL_PARAMETERS,
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

    rule controls_table:
        """Which metric puts the controls in the order that was written down beforehand."""
        input:
            scores=tables_of("scores", REFERENCES),
            image_quality=tables_of("image_quality", REFERENCES),
            texture=controls_measured("texture"),
            lesion_bench=controls_measured("lesion_bench"),
            detectability=controls_measured("detectability"),
            expectations=REPOSITORY / "config/control_expectations.yaml",
            protocol=SETTINGS["protocol_file"],
            code=code_behind("controls-table"),
        output:
            **table("controls", "Metrics", formats=("json", "csv", "md")),
        log:
            f"{LOGS}/controls_table.log",
        benchmark:
            f"{RUN}/benchmarks/controls_table.tsv"
        conda:
            ENVIRONMENT
        params:
            settings=context_of_controls,
            folder=subpath(output.json, parent=True),
        message:
            "Judging the metrics by the controls"
        shell:
            "python -m ldct --log {log} controls-table --scores {input.scores}"
            " --image-quality {input.image_quality} --texture {input.texture}"
            " --lesion-bench {input.lesion_bench} --detectability {input.detectability}"
            " --expectations {input.expectations} --protocol {input.protocol}"
            " --settings {params.settings:q} --output {params.folder}"

    RESULTS += rules.controls_table.output
