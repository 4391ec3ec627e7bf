"""What the trainings report: loss curves of every stage."""

CURVES = [
    (model, seed)
    for model in SETTINGS["models"]
    for seed in map(str, SETTINGS["seeds"])
]
LOSS_CURVES = f"{RUN}/figures/loss_curves"


def stage_title(model):
    """What readers call a trained stage: its method's title, and the level within a cascade."""
    cards = SETTINGS["cards"]
    method, _, level = model.rpartition("_level")
    if model in cards or method not in cards:
        return cards.get(model, {}).get("title", model)
    return f"{cards[method]['title']}, level {level}"


if CURVES:
    RESULTS += [f"{LOSS_CURVES}.png", f"{LOSS_CURVES}.pdf"]

    rule draw_loss_curves:
        """Loss terms over the steps, one panel for each trained stage."""
        input:
            histories=[
                f"{RUN}/models/{model}/{seed}/history.csv" for model, seed in CURVES
            ],
            code=code_behind("draw-loss-curves"),
        output:
            report(
                f"{LOSS_CURVES}.png",
                caption="../report/loss_curves.rst",
                category="Training",
            ),
            f"{LOSS_CURVES}.pdf",
        log:
            f"logs/{SETTINGS['run']}/draw_loss_curves.log",
        benchmark:
            f"{RUN}/benchmarks/draw_loss_curves.tsv"
        conda:
            ENVIRONMENT
        threads: 1
        resources:
            mem_mb=1500,
            gpu=0,
        params:
            titles=as_json([stage_title(model) for model, _ in CURVES]),
            note=FIGURE_NOTE,
            stem=subpath(output[0], strip_suffix=".png"),
        message:
            "Drawing the loss curves"
        shell:
            "python -m ldct --log {log} draw-loss-curves --histories {input.histories}"
            " --titles {params.titles:q} --note {params.note:q} --output {params.stem}"
