"""Scores from predictions, and Table I from scores."""


rule score:
    """PSNR, SSIM and RMSE of every test slice of one prediction file."""
    input:
        test=expand(f"{RUN}/test/{{{{patient}}}}/{{name}}", name=VOLUME_FILES),
        prediction=f"{RUN}/predictions/{{method}}/{{seed}}/{{patient}}.npy",
        protocol=SETTINGS["protocol_file"],
        code=code(
            "ldct/evaluation/metrics.py",
            "ldct/evaluation/protocol.py",
            "ldct/evaluation/scores.py",
            "ldct/scaling.py",
        ),
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
        " --prediction {input.prediction} --protocols {input.protocol} --method {wildcards.method}"
        " --seed {wildcards.seed} --workers {threads} --output {output}"


rule table1:
    """Table I: ours beside the published values."""
    input:
        scores=all_scores(),
        tiles=f"{DATA}/tiles.npy",
        protocol=SETTINGS["protocol_file"],
        published=REPOSITORY / "config/published.yaml",
        code=code(
            "ldct/evaluation/scores.py",
            "ldct/evaluation/protocol.py",
            "ldct/reporting/table1*.py",
            "ldct/commands/evaluation.py",
        ),
    output:
        csv=f"{RUN}/tables/table1.csv",
        md=f"{RUN}/tables/table1.md",
        tex=f"{RUN}/tables/table1.tex",
        html=report(
            f"{RUN}/tables/table1.html",
            caption="../report/table1.rst",
            category="Table I",
        ),
    log:
        f"logs/{SETTINGS['run']}/table1.log",
    benchmark:
        f"{RUN}/benchmarks/table1.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=1000,
        gpu=0,
    params:
        settings=as_json(TABLE_SETTINGS),
        folder=subpath(output.csv, parent=True),
    message:
        "Rendering Table I"
    shell:
        "python -m ldct --log {log} table1 --scores {input.scores} --tiles {input.tiles}"
        " --protocol {input.protocol} --published {input.published}"
        " --settings {params.settings:q} --output {params.folder}"
