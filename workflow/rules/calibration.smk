"""Which evaluation protocol a published Low Dose row belongs to."""

CALIBRATION = f"{RUN}/calibration"

if SETTINGS["calibration_file"]:
    RESULTS += [
        f"{CALIBRATION}/calibration.md",
        f"{CALIBRATION}/calibration_heatmap.png",
    ]

    rule calibrate:
        """Protocols under which the run's raw low dose scores what the paper prints for it."""
        input:
            test=expand(
                f"{RUN}/test/{{patient}}/{{name}}",
                patient=TEST_PATIENTS,
                name=VOLUME_FILES,
            ),
            volumes=expand(
                f"{DATA}/volumes/{{patient}}/{{name}}",
                patient=TRAIN_PATIENTS,
                name=VOLUME_FILES,
            ),
            published=REPOSITORY / "config/published.yaml",
            grid=SETTINGS["calibration_file"],
            code=code_behind("calibrate"),
        output:
            csv=f"{CALIBRATION}/calibration.csv",
            md=f"{CALIBRATION}/calibration.md",
            json=f"{CALIBRATION}/calibration.json",
            png=report(
                f"{CALIBRATION}/calibration_heatmap.png",
                caption="../report/calibration.rst",
                category="Protocols",
            ),
            pdf=f"{CALIBRATION}/calibration_heatmap.pdf",
            protocol=SETTINGS["calibrated_protocol"],
        log:
            f"logs/{SETTINGS['run']}/calibrate.log",
        benchmark:
            f"{RUN}/benchmarks/calibrate.tsv"
        conda:
            ENVIRONMENT
        threads: half_of_cores()
        resources:
            mem_mb=2000,
            gpu=0,
        params:
            test=expand(f"{RUN}/test/{{patient}}", patient=TEST_PATIENTS),
            volumes=expand(f"{DATA}/volumes/{{patient}}", patient=TRAIN_PATIENTS),
            size=SETTINGS["tiles"]["size"],
            stride=SETTINGS["tiles"]["stride"],
            title=DATASET["title"],
            credit=["--credit", DATASET["credit"]] if "credit" in DATASET else [],
            simulated="--simulated" if DATASET["simulated"] else "--no-simulated",
            folder=subpath(output.csv, parent=True),
        message:
            "Looking for the protocol of the published Low Dose row"
        shell:
            "python -m ldct --log {log} calibrate --test-folders {params.test}"
            " --published {input.published} --grid {input.grid} --tile-folders {params.volumes}"
            " --tile-size {params.size} --tile-stride {params.stride} --title {params.title:q}"
            " {params.credit:q} {params.simulated} --workers {threads}"
            " --output {params.folder}"
