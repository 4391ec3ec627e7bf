"""Cost as a result: parameters, time and memory of every method and stage."""

COST_SETTINGS = chosen(
    *("run", "dataset", "budget_text", "methods", "models", "chains", "cards"),
    *("method_seeds", "folds", "test_patients"),
)
ALL_WEIGHTS = [
    file
    for seed in SETTINGS["seeds"]
    for training in training_names(SETTINGS, str(seed))
    for file in weights_of(SETTINGS["models"], training)
]
MICRO_FILE = f"{RUN}/tables/micro_benchmark.json" if SETTINGS["micro_benchmark"] else []


if MICRO_FILE:
    # The pairs are those of the paper, whatever methods the run has.
    MICRO_PLAN = REPOSITORY / "config/micro_benchmark.yaml"
    MICRO_MODELS = models_of_plan(MICRO_PLAN)
    MICRO_SETTINGS = SETTINGS["micro_benchmark"] | {
        "models": MICRO_MODELS,
        "precision": SETTINGS["precision"],
        "inference_precision": SETTINGS["inference"]["precision"],
        "engine": engine_options(),
    }

    rule micro_benchmark:
        """Loss terms and levels timed in turns; ratios, so that other jobs disturb both sides alike."""
        input:
            plan=MICRO_PLAN,
            code=code_of_networks("micro-benchmark", MICRO_MODELS, MICRO_MODELS),
        output:
            MICRO_FILE,
        log:
            f"{LOGS}/micro_benchmark.log",
        benchmark:
            f"{RUN}/benchmarks/micro_benchmark.tsv"
        conda:
            ENVIRONMENT
        resources:
            **on_device(),
            mem_mb=per_attempt(2500),
        params:
            settings=as_json(MICRO_SETTINGS),
        message:
            "Timing loss terms and levels in turns"
        shell:
            "python -m ldct --log {log} micro-benchmark --plan {input.plan}"
            f" --settings {{params.settings:q}}{DEVICE} --output {{output}}"


rule cost:
    """Time, memory and size of every stage and method, from the jobs' own records."""
    input:
        weights=ALL_WEIGHTS,
        trainings=trainings_of(METHODS),
        predictions=predictions_of(METHODS, TEST_PATIENTS),
        micro=MICRO_FILE,
        # Their jobs' time counts, too; claims are judged on this table.
        others=[*RESULTS],
        code=code_behind("cost"),
    output:
        **table("cost", "Cost", formats=("json", "csv", "md", "tex")),
    log:
        f"{LOGS}/cost.log",
    benchmark:
        f"{RUN}/benchmarks/cost.tsv"
    conda:
        ENVIRONMENT
    params:
        settings=as_json(COST_SETTINGS),
        run_folder=subpath(output.json, ancestor=2),
        data=DATA,
        folder=subpath(output.json, parent=True),
    message:
        "Adding up what stages and methods cost"
    shell:
        "python -m ldct --log {log} cost --settings {params.settings:q} --run-folder {params.run_folder}"
        " --data-folder {params.data} --micro {input.micro} --output {params.folder}"


RESULTS += rules.cost.output
