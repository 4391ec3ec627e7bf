"""Stages and parameters taken out of a set of trained models: nothing is trained, nothing tuned."""

if CONTROLS:

    ruleorder: take_parameters > tune_controls


ruleorder: take_parameters > tune_classical


rule take_weights:
    """One stage as it was trained elsewhere, with its history; checked by sha256."""
    input:
        set=f"{WEIGHTS['folder']}/weights.json",
        weights=f"{WEIGHTS['folder']}/{{model}}.safetensors",
        history=f"{WEIGHTS['folder']}/{{model}}.csv",
        code=code_behind("take-weights"),
    output:
        weights=f"{RUN}/models/{{model}}/{{fold}}{{seed}}/weights.safetensors",
        history=f"{RUN}/models/{{model}}/{{fold}}{{seed}}/history.csv",
        record=f"{RUN}/models/{{model}}/{{fold}}{{seed}}/training.json",
    log:
        f"{LOGS}/take_weights/{{model}}/{{fold}}{{seed}}.log",
    benchmark:
        f"{RUN}/benchmarks/take_weights/{{model}}/{{fold}}{{seed}}.tsv"
    conda:
        ENVIRONMENT
    params:
        set=WEIGHTS["folder"],
        folder=subpath(output.weights, parent=True),
    message:
        "Taking the trained weights of {wildcards.model}"
    shell:
        "python -m ldct --log {log} take-weights --set {params.set:q} --stage {wildcards.model}"
        " --output {params.folder}"


rule take_parameters:
    """What was tuned elsewhere."""
    input:
        set=f"{WEIGHTS['folder']}/weights.json",
        code=code_behind("take-parameters"),
    output:
        f"{RUN}/models/{{method}}/{{fold}}fixed/parameters.json",
    log:
        f"{LOGS}/take_parameters/{{method}}/{{fold}}fixed.log",
    benchmark:
        f"{RUN}/benchmarks/take_parameters/{{method}}/{{fold}}fixed.tsv"
    wildcard_constraints:
        method="|".join(map(re.escape, WEIGHTS["parameters"])) or "(?!)",
    conda:
        ENVIRONMENT
    params:
        set=WEIGHTS["folder"],
    message:
        "Taking the tuned parameters of {wildcards.method}"
    shell:
        "python -m ldct --log {log} take-parameters --set {params.set:q}"
        " --method {wildcards.method} --output {output}"
