"""Scores from predictions, and Table I from scores."""

# One for each protocol, that of the main protocol first.
TABLE_FOLDERS = [
    f"{RUN}/tables",
    *(f"{RUN}/tables/{name}" for name in SETTINGS["protocol_names"][1:]),
]
OTHERS = "Other protocols"
TABLE_PAGES = [f"{folder}/table1.html" for folder in TABLE_FOLDERS]
PLAIN_TABLES = [
    *expand(
        "{folder}/table1.{format}", folder=TABLE_FOLDERS, format=["csv", "md", "tex"]
    ),
    f"{RUN}/tables/differences.csv",
]
TABLE_SETTINGS = chosen(
    *("run", "dataset", "budget_text", "seeds", "test", "methods", "cards", "broken"),
    *("statistics", "chains", "method_seeds", "folds", "apart"),
)
if WEIGHTS:
    TABLE_SETTINGS["kept_tiles"] = WEIGHTS["tiles"]


rule table1:
    """Table I beside the published values, under every protocol; differences."""
    input:
        scores=tables_of("scores", METHODS, {"apart": {}}),
        trainings=trainings_of(METHODS),
        tiles=ALL_TILES,
        protocols=SETTINGS["protocol_files"],
        published=REPOSITORY / "config/published.yaml",
        margins=REPOSITORY / "config/margins.yaml",
        code=code_behind("table1"),
    output:
        table=in_report(TABLE_PAGES[0], "table1", "Table I"),
        further=in_report(TABLE_PAGES[1:], "table1", "Table I", subcategory=OTHERS),
        others=PLAIN_TABLES,
    log:
        f"{LOGS}/table1.log",
    benchmark:
        f"{RUN}/benchmarks/table1.tsv"
    conda:
        JUDGING
    params:
        settings=as_json(TABLE_SETTINGS),
        run_folder=subpath(output.table, ancestor=2),
        folder=subpath(output.table, parent=True),
    message:
        "Rendering Table I"
    shell:
        "python -m ldct --log {log} table1 --scores {input.scores} --tiles {input.tiles}"
        " --run-folder {params.run_folder}"
        " --protocols {input.protocols:q} --published {input.published}"
        " --margins {input.margins} --settings {params.settings:q} --output {params.folder}"


RESULTS += rules.table1.output
