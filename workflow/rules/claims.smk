"""Claim ledger: each testable sentence of the paper gets a verdict."""

RESULTS += expand(f"{RUN}/claims.{{format}}", format=["json", "md", "html"])


rule judge_claims:
    """A verdict for each claim of config/claims.yaml, by the rule written there."""
    input:
        measured=measured_for_claims(),
        claims=REPOSITORY / "config/claims.yaml",
        protocol=SETTINGS["protocol_file"],
        code=code_behind("claims"),
    output:
        json=f"{RUN}/claims.json",
        md=f"{RUN}/claims.md",
        html=report(
            f"{RUN}/claims.html",
            caption="../report/claims.rst",
            category="Claims",
        ),
    log:
        f"logs/{SETTINGS['run']}/judge_claims.log",
    benchmark:
        f"{RUN}/benchmarks/judge_claims.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=1000,
        gpu=0,
    params:
        settings=as_json(CLAIM_SETTINGS),
        folder=subpath(output.json, parent=True),
    message:
        "Judging the claims of the paper"
    shell:
        "python -m ldct --log {log} claims --run {params.folder} --claims {input.claims}"
        " --settings {params.settings:q}"
