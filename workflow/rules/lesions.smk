"""Annotated lesions: measures, table, and a panel for each."""

# The identity method is the LDCT image, which stands beside the methods anyway.
SHOWN = [name for name in METHODS if SETTINGS["cards"][name]["kind"] != "identity"]
BENCH_TITLES = as_json([["ndct", "NDCT"], ["ldct", "LDCT"], *titles(SHOWN)])
# Users' data sets say in a key, not always in their title, that their dose is simulated.
SIMULATED = DATASET["simulated"] and "simulated" not in DATASET["title"]
BENCH_NOTE = "{}{}; {}".format(
    DATASET["title"],
    " (quarter dose simulated)" if SIMULATED else "",
    SETTINGS["budget_text"],
)
# Images that are measured: both references, then every method and control with every seed.
BENCH_PLACES = ["ndct/fixed", "ldct/fixed"] + [
    f"{method}/{seed}"
    for method in MEASURED
    for seed in SETTINGS["method_seeds"][method]
]
LESION_FILES = [
    f"{RUN}/lesion_bench/{place}/{patient}.parquet"
    for place in BENCH_PLACES
    for patient in TEST_PATIENTS
]
LESION_PANELS = directory(f"{RUN}/lesions")


if LESIONS_LISTED:

    rule measure_lesions:
        """Contrast, edge, noise and crop scores of every lesion slice, in every image."""
        input:
            test=TEST_FILES,
            predictions=predictions_of(MEASURED, TEST_PATIENTS),
            lesions=f"{DATA}/lesions.csv",
            protocol=SETTINGS["protocol_file"],
            code=code_behind("lesion-bench"),
        output:
            LESION_FILES,
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
            " --protocol {input.protocol:q} --output {params.folder}"

    rule draw_lesion_bench:
        """Lesion bench as table."""
        input:
            measured=tables_of("lesion_bench", ["ndct", "ldct", *MEASURED]),
            code=code_behind("draw-lesion-bench"),
        output:
            **table("lesions", "Lesions", "lesion_bench"),
        log:
            f"{LOGS}/draw_lesion_bench.log",
        benchmark:
            f"{RUN}/benchmarks/draw_lesion_bench.tsv"
        conda:
            JUDGING
        params:
            titles=BENCH_TITLES,
            statistics=as_json(interval_options()),
            note=BENCH_NOTE,
            credit=CREDIT,
            tables=subpath(output.csv, strip_suffix=".csv"),
        message:
            "Drawing the lesion bench"
        shell:
            "python -m ldct --log {log} draw-lesion-bench --measured {input.measured}"
            " --titles {params.titles:q} --statistics {params.statistics:q} --note {params.note:q}"
            " --credit {params.credit:q} --tables {params.tables}"

    rule draw_lesion_panels:
        """A panel for every annotated lesion slice of the test set."""
        input:
            test=TEST_FILES,
            predictions=predictions_of(METHODS, TEST_PATIENTS, every_seed=False),
            lesions=f"{DATA}/lesions.csv",
            protocol=SETTINGS["protocol_file"],
            code=code_behind("draw-lesion-panels"),
        output:
            in_report(
                LESION_PANELS, "lesions", "Lesion panels", patterns=["{name}.png"]
            ),
        log:
            f"{LOGS}/draw_lesion_panels.log",
        benchmark:
            f"{RUN}/benchmarks/draw_lesion_panels.tsv"
        conda:
            JUDGING
        params:
            test=TEST_FOLDERS,
            titles=as_json(titles(SHOWN)),
            note=BENCH_NOTE,
            credit=CREDIT,
        message:
            "Drawing a panel for every lesion slice"
        shell:
            "python -m ldct --log {log} draw-lesion-panels --test-folders {params.test}"
            " --predictions {input.predictions} --titles {params.titles:q} --lesions {input.lesions}"
            " --protocol {input.protocol:q} --note {params.note:q} --credit {params.credit:q}"
            " --output {output}"

    RESULTS += [*rules.draw_lesion_bench.output, *rules.draw_lesion_panels.output]
