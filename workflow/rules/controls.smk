"""Control methods: predictions that show what a metric rewards and what it misses."""

CONTROL_FOLDERS = [SETTINGS["folders"][name] for name in CONTROLS]
# The low-dose image, to which the table compares the controls; it is a method of its own.
LOW_DOSE = [
    name for name, card in SETTINGS["cards"].items() if card["kind"] == "identity"
][:1]
if CONTROLS and LOW_DOSE:
    RESULTS += expand(f"{RUN}/tables/controls.{{format}}", format=["csv", "md", "html"])


if CONTROLS:

    rule tune_controls:
        """Parameters of all controls, chosen on training patients."""
        input:
            volumes=expand(
                f"{DATA}/volumes/{{patient}}/{{name}}",
                patient=TRAIN_PATIENTS,
                name=VOLUME_FILES,
            ),
            code=code_behind("tune-controls", *CONTROL_FOLDERS),
        output:
            expand(f"{RUN}/models/{{control}}/fixed/parameters.json", control=CONTROLS),
        log:
            f"logs/{SETTINGS['run']}/tune_controls.log",
        benchmark:
            f"{RUN}/benchmarks/tune_controls.tsv"
        conda:
            ENVIRONMENT
        threads: 1
        resources:
            mem_mb=1500,
            gpu=0,
        params:
            folders=CONTROL_FOLDERS,
            settings=as_json(
                [
                    SETTINGS["control_cards"][name].get("settings", {})
                    for name in CONTROLS
                ]
            ),
            volumes=expand(f"{DATA}/volumes/{{patient}}", patient=TRAIN_PATIENTS),
        message:
            "Tuning the controls on the training patients"
        shell:
            "python -m ldct --log {log} tune-controls --controls {params.folders:q}"
            " --settings {params.settings:q} --volumes {params.volumes} --outputs {output}"

    rule denoise_controls:
        """Predictions of all controls for one patient: blur, shift, shuffle, NDCT itself."""
        input:
            test=expand(f"{RUN}/test/{{{{patient}}}}/{{name}}", name=VOLUME_FILES),
            parameters=expand(
                f"{RUN}/models/{{control}}/fixed/parameters.json", control=CONTROLS
            ),
            code=code_behind("denoise-controls", *CONTROL_FOLDERS),
        output:
            expand(
                f"{RUN}/predictions/{{control}}/fixed/{{{{patient}}}}.npy",
                control=CONTROLS,
            ),
        log:
            f"logs/{SETTINGS['run']}/denoise_controls/{{patient}}.log",
        benchmark:
            f"{RUN}/benchmarks/denoise_controls/{{patient}}.tsv"
        conda:
            ENVIRONMENT
        threads: 1
        resources:
            mem_mb=1000,
            gpu=0,
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
            scores=tables_of("scores", LOW_DOSE + CONTROLS),
            image_quality=tables_of("image_quality", LOW_DOSE + CONTROLS),
            texture=lambda wildcards: made_by_rules(
                tables_of("texture", LOW_DOSE + CONTROLS)
            ),
            lesion_bench=lambda wildcards: made_by_rules(
                tables_of("lesion_bench", LOW_DOSE + CONTROLS)
            ),
            detectability=lambda wildcards: made_by_rules(
                tables_of("detectability", LOW_DOSE + CONTROLS)
            ),
            protocol=SETTINGS["protocol_file"],
            code=code_behind("controls-table"),
        output:
            csv=f"{RUN}/tables/controls.csv",
            md=f"{RUN}/tables/controls.md",
            html=report(
                f"{RUN}/tables/controls.html",
                caption="../report/controls.rst",
                category="Metrics",
            ),
        log:
            f"logs/{SETTINGS['run']}/controls_table.log",
        benchmark:
            f"{RUN}/benchmarks/controls_table.tsv"
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
                        [name, card["title"]]
                        for name, card in {
                            **SETTINGS["cards"],
                            **SETTINGS["control_cards"],
                        }.items()
                        if name in LOW_DOSE + CONTROLS
                    ],
                    "note": FIGURE_NOTE,
                    "credit": DATASET.get("credit", ""),
                }
            ),
            folder=subpath(output.csv, parent=True),
        message:
            "Rendering the table of the controls"
        shell:
            "python -m ldct --log {log} controls-table --scores {input.scores}"
            " --image-quality {input.image_quality} --texture {input.texture}"
            " --lesion-bench {input.lesion_bench} --detectability {input.detectability}"
            " --protocol {input.protocol} --settings {params.settings:q} --output {params.folder}"
