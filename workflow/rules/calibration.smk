"""Which evaluation protocol a published Low Dose row belongs to."""

CALIBRATION = f"{RUN}/calibration"
HEATMAP = f"{CALIBRATION}/calibration_heatmap"
DATA_IN_WORDS = [
    *("--title", DATASET["title"]),
    *(["--credit", DATASET["credit"]] if "credit" in DATASET else []),
    "--simulated" if DATASET["simulated"] else "--no-simulated",
]


if SETTINGS["calibration_file"]:

    rule calibrate:
        """Protocols under which the run's raw low dose scores what the paper prints for it."""
        input:
            test=TEST_FILES,
            volumes=TRAIN_FILES,
            published=REPOSITORY / "config/published.yaml",
            grid=SETTINGS["calibration_file"],
            code=code_behind("calibrate"),
        output:
            csv=f"{CALIBRATION}/calibration.csv",
            md=f"{CALIBRATION}/calibration.md",
            json=f"{CALIBRATION}/calibration.json",
            png=in_report(f"{HEATMAP}.png", "calibration", "Protocols"),
            pdf=f"{HEATMAP}.pdf",
            protocol=SETTINGS["calibrated_protocol"],
        log:
            f"{LOGS}/calibrate.log",
        benchmark:
            f"{RUN}/benchmarks/calibrate.tsv"
        conda:
            ENVIRONMENT
        threads: half_of_cores()
        resources:
            mem_mb=2000,
        params:
            test=TEST_FOLDERS,
            volumes=TRAIN_FOLDERS,
            size=SETTINGS["tiles"]["size"],
            stride=SETTINGS["tiles"]["stride"],
            words=DATA_IN_WORDS,
            folder=subpath(output.csv, parent=True),
        message:
            "Looking for the protocol of the published Low Dose row"
        shell:
            "python -m ldct --log {log} calibrate --test-folders {params.test}"
            " --published {input.published} --grid {input.grid} --tile-folders {params.volumes}"
            " --tile-size {params.size} --tile-stride {params.stride} {params.words:q}"
            " --workers {threads} --output {params.folder}"

    RESULTS += rules.calibrate.output
