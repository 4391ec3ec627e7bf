"""Texture lab: noise power spectra and their distance to that of NDCT."""

TEXTURE = f"{RUN}/texture"
TEXTURE_REFERENCES = [["ndct", "NDCT", "reference"], ["ldct", "LDCT", "reference"]]
TEXTURE_CARDS = {**SETTINGS["cards"], **SETTINGS["control_cards"]}
TEXTURE_FIGURES = expand(
    f"{RUN}/figures/{{name}}.{{format}}",
    name=["texture_nps", "texture_spectra"],
    format=["png", "pdf"],
)
RESULTS += TEXTURE_FIGURES
RESULTS += expand(f"{RUN}/tables/texture.{{format}}", format=["csv", "md", "html"])


rule texture_references:
    """Squares of soft tissue, chosen on NDCT, and the texture of NDCT and LDCT in them."""
    input:
        test=expand(
            f"{RUN}/test/{{patient}}/{{name}}",
            patient=TEST_PATIENTS,
            name=VOLUME_FILES,
        ),
        code=code_behind("texture-references"),
    output:
        squares=f"{TEXTURE}/squares.parquet",
        facts=f"{TEXTURE}/squares.json",
        measured=expand(
            f"{TEXTURE}/{{reference}}/fixed/{{patient}}.{{format}}",
            reference=["ndct", "ldct"],
            patient=TEST_PATIENTS,
            format=["parquet", "npz"],
        ),
    log:
        f"logs/{SETTINGS['run']}/texture_references.log",
    benchmark:
        f"{RUN}/benchmarks/texture_references.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=1500,
        gpu=0,
    params:
        test=expand(f"{RUN}/test/{{patient}}", patient=TEST_PATIENTS),
        folder=subpath(output.squares, parent=True),
    message:
        "Choosing flat soft tissue; texture of NDCT and LDCT"
    shell:
        "python -m ldct --log {log} texture-references --test-folders {params.test}"
        " --output {params.folder}"


rule texture:
    """Noise power and distance to NDCT's texture, per slice of one prediction."""
    input:
        test=expand(f"{RUN}/test/{{{{patient}}}}/{{name}}", name=VOLUME_FILES),
        prediction=f"{RUN}/predictions/{{method}}/{{seed}}/{{patient}}.npy",
        squares=f"{TEXTURE}/squares.parquet",
        code=code_behind("texture"),
    output:
        measures=f"{TEXTURE}/{{method}}/{{seed}}/{{patient}}.parquet",
        spectra=f"{TEXTURE}/{{method}}/{{seed}}/{{patient}}.npz",
    log:
        f"logs/{SETTINGS['run']}/texture/{{method}}/{{seed}}/{{patient}}.log",
    benchmark:
        f"{RUN}/benchmarks/texture/{{method}}/{{seed}}/{{patient}}.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=1000,
        gpu=0,
    params:
        test=subpath(input[0], parent=True),
    message:
        "Texture of {wildcards.method}, seed {wildcards.seed}, {wildcards.patient}"
    shell:
        "python -m ldct --log {log} texture --test-folder {params.test}"
        " --prediction {input.prediction} --squares {input.squares} --method {wildcards.method}"
        " --seed {wildcards.seed} --output {output.measures}"


rule texture_report:
    """Table and figures of the texture lab."""
    input:
        measured=lambda wildcards: [
            f"{TEXTURE}/{method}/{seed}/{patient}.parquet"
            for method, seeds in (
                *(("ndct", ["fixed"]), ("ldct", ["fixed"])),
                *((name, SETTINGS["method_seeds"][name]) for name in MEASURED),
            )
            for seed in seeds
            for patient in TEST_PATIENTS
        ],
        facts=f"{TEXTURE}/squares.json",
        code=code_behind("texture-report"),
    output:
        csv=f"{RUN}/tables/texture.csv",
        md=f"{RUN}/tables/texture.md",
        html=report(
            f"{RUN}/tables/texture.html",
            caption="../report/texture_table.rst",
            category="Texture",
        ),
        curves=report(
            f"{RUN}/figures/texture_nps.png",
            caption="../report/texture_nps.rst",
            category="Texture",
        ),
        spectra=report(
            f"{RUN}/figures/texture_spectra.png",
            caption="../report/texture_spectra.rst",
            category="Texture",
        ),
        others=[name for name in TEXTURE_FIGURES if name.endswith(".pdf")],
    log:
        f"logs/{SETTINGS['run']}/texture_report.log",
    benchmark:
        f"{RUN}/benchmarks/texture_report.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=1500,
        gpu=0,
    params:
        rows=lambda wildcards: as_json(
            [
                *TEXTURE_REFERENCES,
                *(
                    [name, TEXTURE_CARDS[name]["title"], TEXTURE_CARDS[name]["kind"]]
                    for name in MEASURED
                ),
            ]
        ),
        statistics=as_json(interval_options()),
        note=lambda wildcards: FIGURE_NOTE,
        credit=DATASET.get("credit", f"{DATASET['title']}."),
        tables=subpath(output.csv, parent=True),
        figures=subpath(output.curves, parent=True),
    message:
        "Table and figures of texture"
    shell:
        "python -m ldct --log {log} texture-report --measured {input.measured}"
        " --facts {input.facts} --rows {params.rows:q}"
        " --statistics {params.statistics:q} --note {params.note:q}"
        " --credit {params.credit:q} --tables {params.tables} --figures {params.figures}"
