"""What the trainings report: loss curves of every stage."""

CURVES = [
    (model, seed)
    for model in SETTINGS["models"]
    for seed in map(str, SETTINGS["seeds"])
]
HISTORIES = [f"{RUN}/models/{model}/{seed}/history.csv" for model, seed in CURVES]


if CURVES:

    rule draw_loss_curves:
        """Loss terms over the steps, one panel for each trained stage."""
        input:
            histories=HISTORIES,
            code=code_behind("draw-loss-curves"),
        output:
            **figure("loss_curves", "Training"),
        log:
            f"{LOGS}/draw_loss_curves.log",
        benchmark:
            f"{RUN}/benchmarks/draw_loss_curves.tsv"
        conda:
            ENVIRONMENT
        params:
            titles=as_json([stage_title(model) for model, _ in CURVES]),
            note=FIGURE_NOTE,
            stem=subpath(output.png, strip_suffix=".png"),
        message:
            "Drawing the loss curves"
        shell:
            "python -m ldct --log {log} draw-loss-curves --histories {input.histories}"
            " --titles {params.titles:q} --note {params.note:q} --output {params.stem}"

    RESULTS += rules.draw_loss_curves.output
