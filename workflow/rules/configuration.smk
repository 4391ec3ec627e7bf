"""The resolved configuration of the run."""

from ldct.runs.version import RESULTS as RESULTS_VERSION


rule save_configuration:
    output:
        f"{RUN}/config.yaml",
    log:
        f"{LOGS}/save_configuration.log",
    benchmark:
        f"{RUN}/benchmarks/save_configuration.tsv"
    conda:
        ENVIRONMENT
    params:
        settings=as_json(
            {**SETTINGS, "results": RESULTS_VERSION, "call": config_arguments()}
        ),
    message:
        "Saving the resolved configuration"
    shell:
        "python -m ldct --log {log} save-config --settings {params.settings:q} --output {output}"
