# RUN (results/<run>) and SETTINGS are the suite's; see methods/README.md, "Rules of its own".
rule deepinv_tv:
    input:
        test=f"{RUN}/test/{{patient}}/quarter.npy",
        program=workflow.source_path("deepinv_tv.py"),
    output:
        f"{RUN}/predictions/deepinv_tv/fixed/{{patient}}.npy",
    log:
        f"logs/{SETTINGS['run']}/denoise/deepinv_tv/fixed/{{patient}}.log",
    benchmark:
        f"{RUN}/benchmarks/denoise/deepinv_tv/fixed/{{patient}}.tsv"
    conda:
        "environment.yml"
    threads: 1
    resources:
        mem_mb=2000,
        gpu=0,
    params:
        weight=SETTINGS["cards"]["deepinv_tv"]["settings"]["weight_hu"],
    message:
        "Denoising {wildcards.patient} with deepinv"
    shell:
        "python {input.program} {input.test} {output} {params.weight} 2> {log}"
