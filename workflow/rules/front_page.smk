"""The page that a reader opens first: all results of the run in one file."""

PAGE_FILES = [
    PACKAGE / "front_page" / name for name in ("page.html", "figures.html", "style.css")
]
PAGE_SETTINGS = chosen(
    *("run", "dataset", "budget_text", "seeds", "statistics", "protocol"),
    *("cards", "control_cards", "models", "chains"),
)


rule front_page:
    """index.html: Table I, Fig. 3, claims, texture, cost, curves, cards; opens offline."""
    input:
        # For its link: what is shown of it are settings below.
        configuration=ancient(f"{RUN}/config.yaml"),
        results=[*RESULTS],
        template=[*PAGE_FILES, *VIEWER_PARTS],
        code=code_behind("front-page"),
    output:
        in_report(f"{RUN}/index.html", "front_page", "All on one page"),
    log:
        f"{LOGS}/front_page.log",
    benchmark:
        f"{RUN}/benchmarks/front_page.tsv"
    conda:
        JUDGING
    params:
        settings=as_json(PAGE_SETTINGS),
        run_folder=subpath(output[0], parent=True),
    message:
        "Setting all results on one page"
    shell:
        "python -m ldct --log {log} front-page --run {params.run_folder}"
        " --settings {params.settings:q} --results {input.configuration} {input.results}"


RESULTS += rules.front_page.output
