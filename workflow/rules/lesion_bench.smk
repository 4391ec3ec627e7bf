"""Lesion bench: measures of annotated lesions, and detectability of inserted discs."""

DISCS = f"{RUN}/test/discs"
DISC_FILES = expand(f"{DISCS}/{{name}}", name=[*VOLUME_FILES, "discs.json"])
# Both doses of the test folder stand beside the methods; the identity method is the LDCT image.
REFERENCE_TITLES = [["ndct", "NDCT"], ["ldct", "LDCT"]]
BENCH_TITLES = as_json(
    REFERENCE_TITLES
    + [
        [name, SETTINGS["cards"][name]["title"]]
        for name in METHODS
        if SETTINGS["cards"][name]["kind"] != "identity"
    ]
)
# Users' data sets say in a key, not always in their title, that their dose is simulated.
SIMULATED = DATASET["simulated"] and "simulated" not in DATASET["title"]
BENCH_NOTE = "{}{}; {}".format(
    DATASET["title"],
    " (quarter dose simulated)" if SIMULATED else "",
    SETTINGS["budget_text"],
)
LESION_FILES = [
    f"{RUN}/lesion_bench/{place}/{patient}.parquet"
    for place in bench_places()
    for patient in TEST_PATIENTS
]
LESION_SPECTRA = [
    f"{RUN}/lesion_bench/{place}/{patient}_nps.parquet"
    for place in bench_places()
    for patient in TEST_PATIENTS
]
RESULTS += expand(f"{RUN}/tables/lesions.{{format}}", format=["csv", "md", "html"])
RESULTS += expand(f"{RUN}/figures/lesion_bench.{{format}}", format=["png", "pdf"])


rule measure_lesions:
    """Contrast, edge, noise, its spectrum and crop scores of every lesion slice, in every image."""
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
        measured=LESION_FILES,
        spectra=LESION_SPECTRA,
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
        spectra=LESION_SPECTRA,
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
        " --spectra {input.spectra}"
        " --titles {params.titles:q} --protocol {input.protocol} --scaling {params.scaling:q}"
        " --statistics {params.statistics:q} --note {params.note:q} --credit {params.credit:q}"
        " --tables {params.tables} --figure {params.figure}"


if SETTINGS.get("detectability"):

    DETECTABILITY_FILES = [
        f"{RUN}/detectability/{place}.parquet" for place in bench_places()
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
        """d' of two model observers for every disc, in the images of all methods."""
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
            "Measuring how well model observers find the discs in the images of all methods"
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
