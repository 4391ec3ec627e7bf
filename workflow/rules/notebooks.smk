"""Notebooks on the run's results, where they are asked for: `snakemake notebooks`."""

NOTEBOOKS = sorted((REPOSITORY / "notebooks").glob("*.py"))


rule notebooks:
    """Each script of notebooks/ as an executed notebook and as a page."""
    input:
        scripts=NOTEBOOKS,
        results=[f"{RUN}/{name}" for name in ("config.yaml", "claims.json")],
        tables=[f"{RUN}/tables/{name}.csv" for name in ("table1", "differences")],
        scores=tables_of("scores", METHODS),
        test=TEST_FILES,
        code=lambda wildcards: code_behind("notebooks", *NOTEBOOKS),
    output:
        expand(
            f"{RUN}/notebooks/{{name}}.{{format}}",
            name=[path.stem for path in NOTEBOOKS],
            format=["ipynb", "html"],
        ),
    log:
        f"{LOGS}/notebooks.log",
    benchmark:
        f"{RUN}/benchmarks/notebooks.tsv"
    conda:
        ENVIRONMENT
    params:
        run=subpath(output[0], ancestor=2),
        folder=subpath(output[0], parent=True),
    message:
        "Carrying out the notebooks"
    shell:
        "python -m ldct --log {log} notebooks {input.scripts} --run {params.run}"
        " --output {params.folder}"
