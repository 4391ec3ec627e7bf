"""Cost as a result: parameters, time and memory of every method and stage."""

COST_TABLES = expand(
    f"{RUN}/tables/cost.{{format}}", format=["json", "csv", "md", "html"]
)
RESULTS += COST_TABLES
# The pairs are those of the paper, whatever methods the run has.
MICRO_PLAN = REPOSITORY / "config/micro_benchmark.yaml"
MICRO_MODELS = models_of_plan(MICRO_PLAN)


rule micro_benchmark:
    """Loss terms and levels timed in turns; ratios, so that other jobs disturb both sides alike."""
    input:
        plan=MICRO_PLAN,
        code=code_behind(
            "micro-benchmark",
            *(
                file
                for model in MICRO_MODELS
                for file in network_files(MICRO_MODELS, model)
            ),
        ),
    output:
        f"{RUN}/tables/micro_benchmark.json",
    log:
        f"logs/{SETTINGS['run']}/micro_benchmark.log",
    benchmark:
        f"{RUN}/benchmarks/micro_benchmark.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=2500,
        gpu=gpus(),
        device=SETTINGS["device"],
        jobs_per_gpu=SETTINGS["jobs_per_gpu"],
    params:
        settings=as_json(
            {
                **SETTINGS["micro_benchmark"],
                "models": MICRO_MODELS,
                "precision": SETTINGS["precision"],
                "inference_precision": SETTINGS["inference"]["precision"],
                "engine": engine_options(),
            }
        ),
    message:
        "Timing loss terms and levels in turns"
    shell:
        "python -m ldct --log {log} micro-benchmark --plan {input.plan}"
        " --settings {params.settings:q} --device {resources.device} --gpus {resources.gpu}"
        " --jobs-per-gpu {resources.jobs_per_gpu} --threads {threads} --output {output}"


rule cost:
    """Time, memory and size of every stage and method, from the jobs' own records."""
    input:
        weights=[
            file
            for model in SETTINGS["models"]
            for seed in SETTINGS["seeds"]
            for file in weights_of([model], seed)
        ],
        predictions=lambda wildcards: [
            f"{RUN}/predictions/{method}/{seed}/{patient}.npy"
            for method in METHODS
            for seed in SETTINGS["method_seeds"][method]
            for patient in TEST_PATIENTS
        ],
        micro=f"{RUN}/tables/micro_benchmark.json",
        code=code_behind("cost"),
    output:
        json=f"{RUN}/tables/cost.json",
        csv=f"{RUN}/tables/cost.csv",
        md=f"{RUN}/tables/cost.md",
        html=report(
            f"{RUN}/tables/cost.html",
            caption="../report/cost.rst",
            category="Cost",
        ),
    log:
        f"logs/{SETTINGS['run']}/cost.log",
    benchmark:
        f"{RUN}/benchmarks/cost.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=1500,
        gpu=0,
    params:
        settings=lambda wildcards: as_json(
            {
                key: SETTINGS[key]
                for key in (
                    "run",
                    "dataset",
                    "budget_text",
                    "methods",
                    "models",
                    "chains",
                    "cards",
                    "method_seeds",
                    "test_patients",
                )
            }
        ),
        run_folder=subpath(output.json, ancestor=2),
        folder=subpath(output.json, parent=True),
    message:
        "Adding up what stages and methods cost"
    shell:
        "python -m ldct --log {log} cost --settings {params.settings:q}"
        " --run-folder {params.run_folder} --micro {input.micro} --output {params.folder}"
