"""The page that a reader opens first: all results of the run in one file."""

PAGE_FILES = [
    REPOSITORY / "ldct/front_page" / name
    for name in ("page.html", "figures.html", "style.css")
]


rule front_page:
    """index.html: Table I, Fig. 3, claims, texture, cost, curves, cards; opens offline."""
    input:
        configuration=f"{RUN}/config.yaml",
        results=[*RESULTS],
        template=PAGE_FILES,
        code=code_behind("front-page"),
    output:
        in_report(f"{RUN}/index.html", "front_page", "All on one page"),
    log:
        f"{LOGS}/front_page.log",
    benchmark:
        f"{RUN}/benchmarks/front_page.tsv"
    conda:
        ENVIRONMENT
    params:
        run_folder=subpath(output[0], parent=True),
    message:
        "Setting all results on one page"
    shell:
        "python -m ldct --log {log} front-page --run {params.run_folder}"
        " --results {input.configuration} {input.results}"


RESULTS += rules.front_page.output
