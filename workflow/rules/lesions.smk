"""Annotated lesions: measures, table, figure, and a panel for each."""

# The identity method is the LDCT image, which stands beside the methods anyway.
METHOD_TITLES = [
    [name, SETTINGS["cards"][name]["title"]]
    for name in METHODS
    if SETTINGS["cards"][name]["kind"] != "identity"
]
BENCH_TITLES = as_json([["ndct", "NDCT"], ["ldct", "LDCT"], *METHOD_TITLES])
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
RESULTS += expand(f"{RUN}/tables/lesions.{{format}}", format=["csv", "md", "html"])
RESULTS += expand(f"{RUN}/figures/lesion_bench.{{format}}", format=["png", "pdf"])


rule measure_lesions:
    """Contrast, edge, noise and crop scores of every lesion slice, in every image."""
    input:
        test=expand(
            f"{RUN}/test/{{patient}}/{{name}}",
            patient=TEST_PATIENTS,
            name=VOLUME_FILES,
        ),
        predictions=predictions_of_all_seeds(TEST_PATIENTS),
        lesions=f"{DATA}/lesions.csv",
        protocol=SETTINGS["protocol_file"],
        code=code_behind("lesion-bench"),
    output:
        LESION_FILES,
    log:
        f"logs/{SETTINGS['run']}/measure_lesions.log",
    benchmark:
        f"{RUN}/benchmarks/measure_lesions.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=1000,
        gpu=0,
    params:
        test=expand(f"{RUN}/test/{{patient}}", patient=TEST_PATIENTS),
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
        measured=LESION_FILES,
        protocol=SETTINGS["protocol_file"],
        code=code_behind("draw-lesion-bench"),
    output:
        csv=f"{RUN}/tables/lesions.csv",
        md=f"{RUN}/tables/lesions.md",
        html=report(
            f"{RUN}/tables/lesions.html",
            caption="../report/lesion_bench.rst",
            category="Lesions",
        ),
        png=report(
            f"{RUN}/figures/lesion_bench.png",
            caption="../report/lesion_bench.rst",
            category="Lesions",
        ),
        pdf=f"{RUN}/figures/lesion_bench.pdf",
    log:
        f"logs/{SETTINGS['run']}/draw_lesion_bench.log",
    benchmark:
        f"{RUN}/benchmarks/draw_lesion_bench.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=1000,
        gpu=0,
    params:
        titles=BENCH_TITLES,
        statistics=as_json(interval_options()),
        scaling=as_json(SETTINGS["scaling"]),
        note=BENCH_NOTE,
        credit=DATASET.get("credit", f"{DATASET['title']}."),
        tables=subpath(output.csv, strip_suffix=".csv"),
        figure=subpath(output.png, strip_suffix=".png"),
    message:
        "Drawing the lesion bench"
    shell:
        "python -m ldct --log {log} draw-lesion-bench --measured {input.measured}"
        " --titles {params.titles:q} --protocol {input.protocol} --scaling {params.scaling:q}"
        " --statistics {params.statistics:q} --note {params.note:q} --credit {params.credit:q}"
        " --tables {params.tables} --figure {params.figure}"


rule draw_lesion_panels:
    """A panel for every annotated lesion slice of the test set."""
    input:
        test=expand(
            f"{RUN}/test/{{patient}}/{{name}}",
            patient=TEST_PATIENTS,
            name=VOLUME_FILES,
        ),
        predictions=predictions_of(METHODS, TEST_PATIENTS),
        lesions=f"{DATA}/lesions.csv",
        protocol=SETTINGS["protocol_file"],
        code=code_behind("draw-lesion-panels"),
    output:
        report(
            directory(f"{RUN}/lesions"),
            patterns=["{name}.png"],
            caption="../report/lesions.rst",
            category="Lesion panels",
        ),
    log:
        f"logs/{SETTINGS['run']}/draw_lesion_panels.log",
    benchmark:
        f"{RUN}/benchmarks/draw_lesion_panels.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=1500,
        gpu=0,
    params:
        test=expand(f"{RUN}/test/{{patient}}", patient=TEST_PATIENTS),
        titles=as_json(METHOD_TITLES),
        note=BENCH_NOTE,
        credit=DATASET.get("credit", f"{DATASET['title']}."),
    message:
        "Drawing a panel for every lesion slice"
    shell:
        "python -m ldct --log {log} draw-lesion-panels --test-folders {params.test}"
        " --predictions {input.predictions} --titles {params.titles:q} --lesions {input.lesions}"
        " --protocol {input.protocol} --note {params.note:q} --credit {params.credit:q}"
        " --output {output}"
