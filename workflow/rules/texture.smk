"""Texture lab: noise power spectra and their distance to that of NDCT."""

TEXTURE = f"{RUN}/texture"
TEXTURE_OF_DOSES = [
    f"{TEXTURE}/{dose}/fixed/{patient}.{suffix}"
    for dose in ("ndct", "ldct")
    for patient in TEST_PATIENTS
    for suffix in ("parquet", "npz")
]
TEXTURE_CARDS = {**SETTINGS["cards"], **SETTINGS["control_cards"]}
TEXTURE_ROWS = [["ndct", "NDCT", "reference"], ["ldct", "LDCT", "reference"]] + [
    [name, TEXTURE_CARDS[name]["title"], TEXTURE_CARDS[name]["kind"]]
    for name in MEASURED
]


rule texture_squares:
    """Flat squares of soft tissue of all test patients, chosen on the slices beside their own."""
    input:
        volumes=[file for folder in TEST_VOLUMES for file in volume_files(folder)],
        code=code_behind("texture-squares"),
    output:
        f"{TEXTURE}/squares.parquet",
    log:
        f"{LOGS}/texture_squares.log",
    benchmark:
        f"{RUN}/benchmarks/texture_squares.tsv"
    conda:
        ENVIRONMENT
    params:
        volumes=TEST_VOLUMES,
        slices=SETTINGS["texture_slices"],
    message:
        "Choosing flat soft tissue"
    shell:
        "python -m ldct --log {log} texture-squares --volumes {params.volumes}"
        " --slices {params.slices} --output {output}"


rule texture_references:
    """The texture of NDCT and LDCT."""
    input:
        test=TEST_FILES,
        squares=f"{TEXTURE}/squares.parquet",
        code=code_behind("texture-references"),
    output:
        facts=f"{TEXTURE}/squares.json",
        measured=TEXTURE_OF_DOSES,
    log:
        f"{LOGS}/texture_references.log",
    benchmark:
        f"{RUN}/benchmarks/texture_references.tsv"
    conda:
        ENVIRONMENT
    params:
        test=TEST_FOLDERS,
        folder=subpath(output.facts, parent=True),
    message:
        "Texture of NDCT and LDCT"
    shell:
        "python -m ldct --log {log} texture-references --test-folders {params.test}"
        " --squares {input.squares} --output {params.folder}"


rule texture:
    """Noise power and distance to NDCT's texture, per slice of one prediction."""
    input:
        test=volume_files(f"{RUN}/test/{{patient}}"),
        prediction=f"{RUN}/predictions/{{method}}/{{seed}}/{{patient}}.npy",
        squares=f"{TEXTURE}/squares.parquet",
        code=code_behind("texture"),
    output:
        measures=f"{TEXTURE}/{{method}}/{{seed}}/{{patient}}.parquet",
        spectra=f"{TEXTURE}/{{method}}/{{seed}}/{{patient}}.npz",
    log:
        f"{LOGS}/texture/{{method}}/{{seed}}/{{patient}}.log",
    benchmark:
        f"{RUN}/benchmarks/texture/{{method}}/{{seed}}/{{patient}}.tsv"
    conda:
        ENVIRONMENT
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
        measured=tables_of("texture", ["ndct", "ldct", *MEASURED]),
        facts=f"{TEXTURE}/squares.json",
        code=code_behind("texture-report"),
    output:
        *figure("texture_nps", "Texture").values(),
        *figure("texture_spectra", "Texture").values(),
        f"{RUN}/figures/texture_nps.csv",
        **table("texture", "Texture", "texture_table"),
    log:
        f"{LOGS}/texture_report.log",
    benchmark:
        f"{RUN}/benchmarks/texture_report.tsv"
    conda:
        JUDGING
    params:
        rows=as_json(TEXTURE_ROWS),
        statistics=as_json(interval_options()),
        note=FIGURE_NOTE,
        credit=CREDIT,
        tables=subpath(output.csv, parent=True),
        figures=subpath(output[0], parent=True),
    message:
        "Table and figures of texture"
    shell:
        "python -m ldct --log {log} texture-report --measured {input.measured}"
        " --facts {input.facts} --rows {params.rows:q}"
        " --statistics {params.statistics:q} --note {params.note:q}"
        " --credit {params.credit:q} --tables {params.tables} --figures {params.figures}"


RESULTS += rules.texture_report.output
