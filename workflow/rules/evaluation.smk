"""Scores from predictions, and Table I from scores."""

# One for each protocol, that of the main protocol first.
TABLE_FOLDERS = [
    f"{RUN}/tables",
    *(f"{RUN}/tables/{name}" for name in SETTINGS["protocol_names"][1:]),
]
TABLE_PAGES = expand("{folder}/table1.html", folder=TABLE_FOLDERS)
PLAIN_TABLES = [
    *expand(
        "{folder}/table1.{format}", folder=TABLE_FOLDERS, format=["csv", "md", "tex"]
    ),
    f"{RUN}/tables/differences.csv",
]
SCORE_TABLES = [*TABLE_PAGES, *PLAIN_TABLES]
RESULTS += SCORE_TABLES


rule score:
    """PSNR, SSIM and RMSE of every test slice of one prediction file, under every protocol."""
    input:
        test=expand(f"{RUN}/test/{{{{patient}}}}/{{name}}", name=VOLUME_FILES),
        prediction=f"{RUN}/predictions/{{method}}/{{seed}}/{{patient}}.npy",
        protocols=SETTINGS["protocol_files"],
        code=code_behind("score"),
    output:
        f"{RUN}/scores/{{method}}/{{seed}}/{{patient}}.parquet",
    log:
        f"logs/{SETTINGS['run']}/score/{{method}}/{{seed}}/{{patient}}.log",
    benchmark:
        f"{RUN}/benchmarks/score/{{method}}/{{seed}}/{{patient}}.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=1000,
        gpu=0,
    params:
        test=subpath(input[0], parent=True),
    message:
        "Scoring {wildcards.method}, seed {wildcards.seed}, {wildcards.patient}"
    shell:
        "python -m ldct --log {log} score --test-folder {params.test}"
        " --prediction {input.prediction} --protocols {input.protocols} --method {wildcards.method}"
        " --seed {wildcards.seed} --workers {threads} --output {output}"


rule table1:
    """Table I beside the published values, under every protocol; differences."""
    input:
        scores=all_scores(),
        tiles=f"{DATA}/tiles.npy",
        protocols=SETTINGS["protocol_files"],
        published=REPOSITORY / "config/published.yaml",
        margins=REPOSITORY / "config/margins.yaml",
        code=code_behind("table1"),
    output:
        table=report(
            TABLE_PAGES[0],
            caption="../report/table1.rst",
            category="Table I",
        ),
        further=report(
            TABLE_PAGES[1:],
            caption="../report/table1.rst",
            category="Table I",
            subcategory="Other protocols",
        ),
        others=PLAIN_TABLES,
    log:
        f"logs/{SETTINGS['run']}/table1.log",
    benchmark:
        f"{RUN}/benchmarks/table1.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=1500,
        gpu=0,
    params:
        settings=as_json(TABLE_SETTINGS),
        folder=subpath(output.table, parent=True),
    message:
        "Rendering Table I"
    shell:
        "python -m ldct --log {log} table1 --scores {input.scores} --tiles {input.tiles}"
        " --protocols {input.protocols} --published {input.published}"
        " --margins {input.margins} --settings {params.settings:q} --output {params.folder}"
