"""Lesion bench: measures of annotated lesions, and detectability of inserted discs."""

DISCS = f"{RUN}/test/discs"
DISC_FILES = [*volume_files(DISCS), f"{DISCS}/discs.json"]
# Both doses of the test folder stand beside the methods; the identity method is the LDCT image.
BENCH_TITLES = [["ndct", "NDCT"], ["ldct", "LDCT"]] + titles(
    [name for name in METHODS if name not in IDENTITIES]
)
# Users' data sets say in a key, not always in their title, that their dose is simulated.
SIMULATED = DATASET["simulated"] and "simulated" not in DATASET["title"]
BENCH_NOTE = "{}{}; {}".format(
    DATASET["title"],
    " (quarter dose simulated)" if SIMULATED else "",
    SETTINGS["budget_text"],
)


def bench_files(suffix):
    """Files of the lesion bench, one for each image and test patient."""
    return [
        f"{RUN}/lesion_bench/{place}/{patient}{suffix}"
        for place in bench_places()
        for patient in TEST_PATIENTS
    ]


rule measure_lesions:
    """Contrast, edge, noise, its spectrum and crop scores of every lesion slice, in every image."""
    input:
        test=TEST_FILES,
        predictions=predictions_of(MEASURED, TEST_PATIENTS),
        lesions=f"{DATA}/lesions.csv",
        protocol=SETTINGS["protocol_file"],
        code=code_behind("lesion-bench"),
    output:
        measured=bench_files(".parquet"),
        spectra=bench_files("_nps.parquet"),
    log:
        f"{LOGS}/measure_lesions.log",
    benchmark:
        f"{RUN}/benchmarks/measure_lesions.tsv"
    conda:
        ENVIRONMENT
    params:
        test=TEST_FOLDERS,
        folder=subpath(output[0], ancestor=3),
    message:
        "Measuring every annotated lesion in the images of all methods"
    shell:
        "python -m ldct --log {log} lesion-bench --test-folders {params.test}"
        " --predictions {input.predictions} --lesions {input.lesions}"
        " --protocol {input.protocol} --output {params.folder}"


rule draw_lesion_bench:
    """Lesion bench as table and figure."""
    input:
        measured=bench_files(".parquet"),
        spectra=bench_files("_nps.parquet"),
        protocol=SETTINGS["protocol_file"],
        code=code_behind("draw-lesion-bench"),
    output:
        **table("lesions", "Lesions", "lesion_bench"),
        **figure("lesion_bench", "Lesions"),
    log:
        f"{LOGS}/draw_lesion_bench.log",
    benchmark:
        f"{RUN}/benchmarks/draw_lesion_bench.tsv"
    conda:
        ENVIRONMENT
    params:
        titles=as_json(BENCH_TITLES),
        statistics=as_json(interval_options()),
        scaling=as_json(SETTINGS["scaling"]),
        note=BENCH_NOTE,
        credit=CREDIT,
        tables=subpath(output.csv, strip_suffix=".csv"),
        figure=subpath(output.png, strip_suffix=".png"),
    message:
        "Drawing the lesion bench"
    shell:
        "python -m ldct --log {log} draw-lesion-bench --measured {input.measured}"
        " --spectra {input.spectra} --titles {params.titles:q} --protocol {input.protocol} --scaling {params.scaling:q}"
        " --statistics {params.statistics:q} --note {params.note:q} --credit {params.credit:q}"
        " --tables {params.tables} --figure {params.figure}"


RESULTS += rules.draw_lesion_bench.output


if SETTINGS.get("detectability"):

    ruleorder: insert_discs > select_test_slices

    rule insert_discs:
        """Crops of the test patients' full dose with and without discs, and their simulated quarter dose."""
        input:
            volumes=[file for place in TEST_VOLUMES for file in volume_files(place)],
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
            mem_mb=lambda wildcards, threads: 800 + 300 * threads,
        params:
            volumes=TEST_VOLUMES,
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
        """d' of two model observers for every disc, in the images of all methods."""
        input:
            discs=DISC_FILES,
            predictions=predictions_of(MEASURED, ["discs"]),
            code=code_behind("detectability"),
        output:
            [f"{RUN}/detectability/{place}.parquet" for place in bench_places()],
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
            "Measuring how well model observers find the discs in the images of all methods"
        shell:
            "python -m ldct --log {log} detectability --discs {params.discs}"
            " --predictions {input.predictions} --statistics {params.statistics:q}"
            " --output {params.folder}"

    rule draw_detectability:
        """Detectability as table and figure."""
        input:
            measured=rules.measure_detectability.output,
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
            ENVIRONMENT
        params:
            titles=as_json(BENCH_TITLES),
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
