"""Which evaluation protocol a published Low Dose row belongs to."""

CALIBRATION = f"{RUN}/calibration"
PAGE = in_report(f"{CALIBRATION}/calibration.html", "calibration", "Protocols")


if SETTINGS["calibration_file"]:

    rule calibrate:
        """Protocols under which the run's raw low dose scores what the paper prints for it."""
        input:
            test=TEST_FILES,
            published=REPOSITORY / "config/published.yaml",
            grid=SETTINGS["calibration_file"],
            code=code_behind("calibrate"),
        output:
            csv=f"{CALIBRATION}/calibration.csv",
            md=f"{CALIBRATION}/calibration.md",
            tex=f"{CALIBRATION}/calibration.tex",
            html=PAGE,
            protocol=SETTINGS["calibrated_protocol"],
        log:
            f"{LOGS}/calibrate.log",
        benchmark:
            f"{RUN}/benchmarks/calibrate.tsv"
        conda:
            JUDGING
        threads: half_of_cores()
        resources:
            mem_mb=per_attempt(2000),
        params:
            test=TEST_FOLDERS,
            title=DATASET["title"],
            simulated="--simulated" if DATASET["simulated"] else "--no-simulated",
            folder=subpath(output.csv, parent=True),
        message:
            "Scoring the raw low dose under every listed protocol"
        shell:
            "python -m ldct --log {log} calibrate --test-folders {params.test}"
            " --published {input.published} --grid {input.grid:q} --title {params.title:q}"
            " {params.simulated} --workers {threads} --output {params.folder}"

    RESULTS += rules.calibrate.output
