# RUN (results/<run>) and SETTINGS are the suite's; see methods/README.md, "Rules of its own".
rule external_median:
    input:
        test=f"{RUN}/test/{{patient}}/quarter.npy",
        program=workflow.source_path("median.py"),
    output:
        f"{RUN}/predictions/external_median/fixed/{{patient}}.npy",
    log:
        f"logs/{SETTINGS['run']}/denoise/external_median/fixed/{{patient}}.log",
    benchmark:
        f"{RUN}/benchmarks/denoise/external_median/fixed/{{patient}}.tsv"
    conda:
        "environment.yml"
    threads: 1
    resources:
        mem_mb=1000,
        gpu=0,
    message:
        "Denoising {wildcards.patient} with an external program"
    shell:
        "python {input.program} {input.test} {output} 3 2> {log}"
