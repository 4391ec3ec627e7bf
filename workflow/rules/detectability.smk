"""Detectability of inserted discs."""

DISCS = f"{RUN}/test/discs"
SOURCES = [file for folder in TEST_VOLUMES for file in volume_files(folder)]
DISC_FILES = [*volume_files(DISCS), f"{DISCS}/discs.json"]
# Whoever made given predictions had no images of the discs.
GIVEN = [name for name in METHODS if SETTINGS["cards"][name]["kind"] == "predictions"]
DETECTABILITY_FILES = [
    f"{RUN}/detectability/{place}.parquet"
    for place in BENCH_PLACES
    if place.split("/")[0] not in GIVEN
]


if SETTINGS.get("detectability"):

    ruleorder: insert_discs > select_test_slices

    rule insert_discs:
        """Crops of the test patients' full dose with and without discs, and their simulated quarter dose."""
        input:
            volumes=[file for folder in TEST_VOLUMES for file in volume_files(folder)],
            lesions=f"{DATA}/lesions.csv",
            code=code_behind("insert-discs"),
        output:
            DISC_FILES,
        log:
            f"{LOGS}/insert_discs.log",
        benchmark:
            f"{RUN}/benchmarks/insert_discs.tsv"
        conda:
            ENVIRONMENT
        threads: half_of_cores()
        resources:
            mem_mb=lambda wildcards, threads, attempt: (800 + 300 * threads) * attempt,
        params:
            volumes=TEST_VOLUMES,
            settings=as_json(SETTINGS["detectability"]),
            dose=DATASET.get("simulate", {}).get("dose_fraction", 0.25),
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
            predictions=predictions_of(
                [name for name in MEASURED if name not in GIVEN], ["discs"]
            ),
            code=code_behind("detectability"),
        output:
            DETECTABILITY_FILES,
        log:
            f"{LOGS}/measure_detectability.log",
        benchmark:
            f"{RUN}/benchmarks/measure_detectability.tsv"
        conda:
            ENVIRONMENT
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
            **table("detectability", "Lesions"),
            **figure("detectability", "Lesions"),
        log:
            f"{LOGS}/draw_detectability.log",
        benchmark:
            f"{RUN}/benchmarks/draw_detectability.tsv"
        conda:
            JUDGING
        params:
            titles=BENCH_TITLES,
            statistics=as_json(interval_options()),
            note=BENCH_NOTE,
            credit=CREDIT,
            tables=subpath(output.csv, strip_suffix=".csv"),
            figure=subpath(output.png, strip_suffix=".png"),
        message:
            "Drawing the detectability of the discs"
        shell:
            "python -m ldct --log {log} draw-detectability --measured {input.measured}"
            " --discs {input.discs} --titles {params.titles:q} --statistics {params.statistics:q}"
            " --note {params.note:q} --credit {params.credit:q} --tables {params.tables} --figure {params.figure}"

    RESULTS += rules.draw_detectability.output
