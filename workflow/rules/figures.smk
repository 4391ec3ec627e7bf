"""Figures and the configuration of the run."""

# Fig. 3 of the paper shows these, in this order; what the run does not have is left out.
COMPARED = [name for name in ("lsgan", "drl", "proposed") if name in METHODS]
CASCADES = [name for name in METHODS if SETTINGS["cards"][name]["kind"] == "cascade"]
CASCADE = "proposed" if "proposed" in METHODS else next(iter(CASCADES), None)
# Fig. 4 of the paper: texture left by the adversary and by the perceptual loss.
TEXTURES = [name for name in ("lsgan", "drlp") if name in METHODS]
FIG1, FIG2 = (f"{RUN}/figures/{name}.png" for name in ("fig1_network", "fig2_cascade"))
LEVELS = SETTINGS["chains"][CASCADE] if CASCADE else []


if CASCADE:

    rule draw_cascade:
        """Figs. 1 and 2: the network of the cascade's last level, and the cascade."""
        input:
            code=code_of_networks("draw-cascade", SETTINGS["models"], LEVELS),
        output:
            network=in_report(FIG1, "fig1_network", "Figures"),
            cascade=in_report(FIG2, "fig2_cascade", "Figures"),
            others=[Path(file).with_suffix(".pdf") for file in (FIG1, FIG2)],
        log:
            f"{LOGS}/draw_cascade.log",
        benchmark:
            f"{RUN}/benchmarks/draw_cascade.tsv"
        conda:
            ENVIRONMENT
        params:
            title=SETTINGS["cards"][CASCADE]["title"],
            models=as_json([titled_level(name) for name in LEVELS]),
            stems=[Path(file).with_suffix("") for file in (FIG1, FIG2)],
        message:
            "Drawing Figs. 1 and 2 (network, cascade)"
        shell:
            "python -m ldct --log {log} draw-cascade --title {params.title:q}"
            " --models {params.models:q} --output {params.stems}"

    RESULTS += rules.draw_cascade.output


rule draw_comparison:
    """Fig. 3: the largest annotated lesion, else the middle slice, denoised by the cascade and its levels."""
    input:
        test=TEST_FILES,
        predictions=predictions_of(COMPARED, TEST_PATIENTS, every_seed=False),
        lesions=f"{DATA}/lesions.csv",
        protocol=SETTINGS["protocol_file"],
        code=code_behind("draw-comparison"),
    output:
        **figure("fig3_lesion", "Figures"),
    log:
        f"{LOGS}/draw_comparison.log",
    benchmark:
        f"{RUN}/benchmarks/draw_comparison.tsv"
    conda:
        JUDGING
    params:
        test=TEST_FOLDERS,
        titles=as_json(titles(COMPARED)),
        note=FIGURE_NOTE,
        stem=subpath(output.png, strip_suffix=".png"),
    message:
        "Drawing Fig. 3"
    shell:
        "python -m ldct --log {log} draw-comparison --test-folders {params.test}"
        " --predictions {input.predictions} --titles {params.titles:q} --lesions {input.lesions}"
        " --protocol {input.protocol:q} --note {params.note:q} --output {params.stem}"


RESULTS += rules.draw_comparison.output


if TEXTURES:

    rule draw_texture:
        """Fig. 4: texture in flat soft tissue, found by rule."""
        input:
            test=TEST_FILES,
            predictions=predictions_of(TEXTURES, TEST_PATIENTS, every_seed=False),
            protocol=SETTINGS["protocol_file"],
            code=code_behind("draw-texture"),
        output:
            **figure("fig4_texture", "Figures"),
        log:
            f"{LOGS}/draw_texture.log",
        benchmark:
            f"{RUN}/benchmarks/draw_texture.tsv"
        conda:
            JUDGING
        params:
            test=TEST_FOLDERS,
            titles=as_json(titles(TEXTURES)),
            note=FIGURE_NOTE,
            stem=subpath(output.png, strip_suffix=".png"),
        message:
            "Drawing Fig. 4 (texture)"
        shell:
            "python -m ldct --log {log} draw-texture --test-folders {params.test}"
            " --predictions {input.predictions} --titles {params.titles:q}"
            " --protocol {input.protocol:q} --note {params.note:q} --output {params.stem}"

    RESULTS += rules.draw_texture.output


CURVES = [
    (model, training)
    for model in SETTINGS["models"]
    for seed in map(str, SETTINGS["seeds"])
    for training in training_names(SETTINGS, seed)
]
HISTORIES = [f"{RUN}/models/{model}/{name}/history.csv" for model, name in CURVES]


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
            JUDGING
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
