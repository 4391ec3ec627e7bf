"""Detectability of inserted discs."""

DISCS = f"{RUN}/test/discs"
DISC_FILES = expand(f"{DISCS}/{{name}}", name=[*VOLUME_FILES, "discs.json"])


if SETTINGS.get("detectability"):

    DETECTABILITY_FILES = [
        f"{RUN}/detectability/{place}.parquet" for place in BENCH_PLACES
    ]
    RESULTS += expand(
        f"{RUN}/tables/detectability.{{format}}", format=["csv", "md", "html"]
    )
    RESULTS += expand(f"{RUN}/figures/detectability.{{format}}", format=["png", "pdf"])

    ruleorder: insert_discs > select_test_slices

    rule insert_discs:
        """Crops of the test patients' full dose with and without discs, and their simulated quarter dose."""
        input:
            volumes=expand(
                f"{DATA}/volumes/{{patient}}/{{name}}",
                patient=TEST_PATIENTS,
                name=VOLUME_FILES,
            ),
            lesions=f"{DATA}/lesions.csv",
            code=code_behind("insert-discs"),
        output:
            DISC_FILES,
        log:
            f"logs/{SETTINGS['run']}/insert_discs.log",
        benchmark:
            f"{RUN}/benchmarks/insert_discs.tsv"
        conda:
            ENVIRONMENT
        threads: half_of_cores()
        resources:
            mem_mb=lambda wildcards, threads: 800 + 300 * threads,
            gpu=0,
        params:
            volumes=expand(f"{DATA}/volumes/{{patient}}", patient=TEST_PATIENTS),
            settings=as_json(SETTINGS["detectability"]),
            dose=SETTINGS.get("demo", {}).get("dose_fraction", 0.25),
            folder=subpath(output[0], parent=True),
        message:
            "Inserting discs into the test patients' full dose and simulating the quarter dose"
        shell:
            "python -m ldct --log {log} insert-discs --volumes {params.volumes}"
            " --lesions {input.lesions} --settings {params.settings:q}"
            " --dose-fraction {params.dose} --workers {threads} --output {params.folder}"

    rule measure_detectability:
        """d' of a model observer for every disc, in the images of all methods."""
        input:
            discs=DISC_FILES,
            predictions=predictions_of_all_seeds(["discs"]),
            code=code_behind("detectability"),
        output:
            DETECTABILITY_FILES,
        log:
            f"logs/{SETTINGS['run']}/measure_detectability.log",
        benchmark:
            f"{RUN}/benchmarks/measure_detectability.tsv"
        conda:
            ENVIRONMENT
        threads: 1
        resources:
            mem_mb=1000,
            gpu=0,
        params:
            discs=subpath(input[0], parent=True),
            statistics=as_json(interval_options()),
            folder=subpath(output[0], ancestor=2),
        message:
            "Measuring how well a model observer finds the discs in the images of all methods"
        shell:
            "python -m ldct --log {log} detectability --discs {params.discs}"
            " --predictions {input.predictions} --statistics {params.statistics:q}"
            " --output {params.folder}"

    rule draw_detectability:
        """Detectability as table and figure."""
        input:
            measured=DETECTABILITY_FILES,
            discs=f"{DISCS}/discs.json",
            code=code_behind("draw-detectability"),
        output:
            csv=f"{RUN}/tables/detectability.csv",
            md=f"{RUN}/tables/detectability.md",
            html=report(
                f"{RUN}/tables/detectability.html",
                caption="../report/detectability.rst",
                category="Lesions",
            ),
            png=report(
                f"{RUN}/figures/detectability.png",
                caption="../report/detectability.rst",
                category="Lesions",
            ),
            pdf=f"{RUN}/figures/detectability.pdf",
        log:
            f"logs/{SETTINGS['run']}/draw_detectability.log",
        benchmark:
            f"{RUN}/benchmarks/draw_detectability.tsv"
        conda:
            ENVIRONMENT
        threads: 1
        resources:
            mem_mb=1000,
            gpu=0,
        params:
            titles=BENCH_TITLES,
            statistics=as_json(interval_options()),
            note=BENCH_NOTE,
            credit=DATASET.get("credit", f"{DATASET['title']}."),
            tables=subpath(output.csv, strip_suffix=".csv"),
            figure=subpath(output.png, strip_suffix=".png"),
        message:
            "Drawing the detectability of the discs"
        shell:
            "python -m ldct --log {log} draw-detectability --measured {input.measured}"
            " --discs {input.discs} --titles {params.titles:q} --statistics {params.statistics:q}"
            " --note {params.note:q} --credit {params.credit:q} --tables {params.tables} --figure {params.figure}"
