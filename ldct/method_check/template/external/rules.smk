# RUN (results/<run>) and SETTINGS are the suite's; see methods/README.md, "Rules of its own".
rule NAME:
    input:
        test=f"{RUN}/test/{{patient}}/quarter.npy",
        program=workflow.source_path("program.py"),
    output:
        f"{RUN}/predictions/NAME/fixed/{{patient}}.npy",
    log:
        f"logs/{SETTINGS['run']}/denoise/NAME/fixed/{{patient}}.log",
    benchmark:
        f"{RUN}/benchmarks/denoise/NAME/fixed/{{patient}}.tsv"
    conda:
        "environment.yml"
    threads: 1
    resources:
        mem_mb=1000,
        gpu=0,
    message:
        "Denoising {wildcards.patient} with an external program"
    shell:
        "python {input.program} {input.test} {output} 2> {log}"
