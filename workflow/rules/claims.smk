"""Claim ledger: each testable sentence of the paper gets a verdict."""

CLAIM_SETTINGS = {"image_quality": {}} | chosen(
    *(
        "run",
        "dataset",
        "budget_text",
        "seeds",
        "test_patients",
        "apart",
        "method_seeds",
        "folds",
    ),
    *("cards", "chains", "control_cards", "broken", "protocol_file", "image_quality"),
)


rule judge_claims:
    """A verdict for each claim of config/claims.yaml, by the rule written there."""
    input:
        measured=measured_for_claims(),
        claims=REPOSITORY / "config/claims.yaml",
        margins=REPOSITORY / "config/margins.yaml",
        protocol=SETTINGS["protocol_file"],
        code=code_behind("claims"),
    output:
        json=f"{RUN}/claims.json",
        md=f"{RUN}/claims.md",
        html=in_report(f"{RUN}/claims.html", "claims", "Claims"),
    log:
        f"{LOGS}/judge_claims.log",
    benchmark:
        f"{RUN}/benchmarks/judge_claims.tsv"
    conda:
        JUDGING
    params:
        settings=as_json(CLAIM_SETTINGS),
        folder=subpath(output.json, parent=True),
    message:
        "Judging the claims of the paper"
    shell:
        "python -m ldct --log {log} claims {params.folder} --claims {input.claims}"
        " --margins {input.margins} --settings {params.settings:q}"


RESULTS += rules.judge_claims.output
