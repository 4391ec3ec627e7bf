"""Figures and the configuration of the run."""

FIGURE_NOTE = f"{DATASET['title']}; {SETTINGS['budget_text']}"
FIGURE_FORMATS = ["png", "pdf"]
# Fig. 3 of the paper shows these, in this order; what the run does not have is left out.
COMPARED = [name for name in ("lsgan", "drl", "proposed") if name in METHODS]
CASCADE = next(
    (name for name in METHODS if SETTINGS["cards"][name]["kind"] == "cascade"), None
)
if "proposed" in METHODS:
    CASCADE = "proposed"
# Fig. 4 of the paper: texture left by the adversary and by the perceptual loss.
TEXTURES = [name for name in ("lsgan", "drlp") if name in METHODS]
FIGURES = expand(
    f"{RUN}/figures/{{name}}.{{format}}",
    name=[
        *(["fig1_network", "fig2_cascade"] if CASCADE else []),
        "fig3_lesion",
        *(["fig4_texture"] if TEXTURES else []),
    ],
    format=FIGURE_FORMATS,
)


def level_title(model):
    """What figures call one level of a cascade: its method's title, or its network."""
    network = SETTINGS["models"][model]["network"]["name"].upper()
    return SETTINGS["cards"].get(model, {}).get("title", network)


if CASCADE:

    rule draw_cascade:
        """Figs. 1 and 2: the network of the cascade's last level, and the cascade."""
        input:
            code=lambda wildcards: code_behind(
                "draw-cascade",
                *(
                    file
                    for model in SETTINGS["chains"][CASCADE]
                    for file in network_files(SETTINGS["models"], model)
                ),
            ),
        output:
            report(
                f"{RUN}/figures/fig1_network.png",
                caption="../report/fig1_network.rst",
                category="Figures",
            ),
            report(
                f"{RUN}/figures/fig2_cascade.png",
                caption="../report/fig2_cascade.rst",
                category="Figures",
            ),
            f"{RUN}/figures/fig1_network.pdf",
            f"{RUN}/figures/fig2_cascade.pdf",
        log:
            f"logs/{SETTINGS['run']}/draw_cascade.log",
        benchmark:
            f"{RUN}/benchmarks/draw_cascade.tsv"
        conda:
            ENVIRONMENT
        threads: 1
        resources:
            mem_mb=1500,
            gpu=0,
        params:
            title=SETTINGS["cards"][CASCADE]["title"],
            models=as_json(
                [
                    {**SETTINGS["models"][name], "title": level_title(name)}
                    for name in SETTINGS["chains"][CASCADE]
                ]
            ),
            stems=lambda wildcards, output: [
                path.removesuffix(".png") for path in output[:2]
            ],
        message:
            "Drawing Figs. 1 and 2 (network, cascade)"
        shell:
            "python -m ldct --log {log} draw-cascade --title {params.title:q}"
            " --models {params.models:q} --output {params.stems}"


rule draw_comparison:
    """Fig. 3: the largest annotated lesion, denoised by the cascade and by its levels alone."""
    input:
        test=expand(
            f"{RUN}/test/{{patient}}/{{name}}",
            patient=TEST_PATIENTS,
            name=VOLUME_FILES,
        ),
        predictions=predictions_of(COMPARED, TEST_PATIENTS),
        lesions=f"{DATA}/lesions.csv",
        protocol=SETTINGS["protocol_file"],
        code=code_behind("draw-comparison"),
    output:
        report(
            f"{RUN}/figures/fig3_lesion.png",
            caption="../report/fig3_lesion.rst",
            category="Figures",
        ),
        f"{RUN}/figures/fig3_lesion.pdf",
    log:
        f"logs/{SETTINGS['run']}/draw_comparison.log",
    benchmark:
        f"{RUN}/benchmarks/draw_comparison.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=1500,
        gpu=0,
    params:
        test=expand(f"{RUN}/test/{{patient}}", patient=TEST_PATIENTS),
        titles=titles(COMPARED),
        note=FIGURE_NOTE,
        stem=subpath(output[0], strip_suffix=".png"),
    message:
        "Drawing Fig. 3 (largest lesion)"
    shell:
        "python -m ldct --log {log} draw-comparison --test-folders {params.test}"
        " --predictions {input.predictions} --titles {params.titles:q} --lesions {input.lesions}"
        " --protocol {input.protocol} --note {params.note:q} --output {params.stem}"


if TEXTURES:

    rule draw_texture:
        """Fig. 4: texture in flat soft tissue, found by rule."""
        input:
            test=expand(
                f"{RUN}/test/{{patient}}/{{name}}",
                patient=TEST_PATIENTS,
                name=VOLUME_FILES,
            ),
            predictions=predictions_of(TEXTURES, TEST_PATIENTS),
            protocol=SETTINGS["protocol_file"],
            code=code_behind("draw-texture"),
        output:
            report(
                f"{RUN}/figures/fig4_texture.png",
                caption="../report/fig4_texture.rst",
                category="Figures",
            ),
            f"{RUN}/figures/fig4_texture.pdf",
        log:
            f"logs/{SETTINGS['run']}/draw_texture.log",
        benchmark:
            f"{RUN}/benchmarks/draw_texture.tsv"
        conda:
            ENVIRONMENT
        threads: 1
        resources:
            mem_mb=1500,
            gpu=0,
        params:
            test=expand(f"{RUN}/test/{{patient}}", patient=TEST_PATIENTS),
            titles=titles(TEXTURES),
            note=FIGURE_NOTE,
            stem=subpath(output[0], strip_suffix=".png"),
        message:
            "Drawing Fig. 4 (texture)"
        shell:
            "python -m ldct --log {log} draw-texture --test-folders {params.test}"
            " --predictions {input.predictions} --titles {params.titles:q}"
            " --protocol {input.protocol} --note {params.note:q} --output {params.stem}"


rule save_configuration:
    output:
        f"{RUN}/config.yaml",
    log:
        f"logs/{SETTINGS['run']}/save_configuration.log",
    benchmark:
        f"{RUN}/benchmarks/save_configuration.tsv"
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=300,
        gpu=0,
    params:
        settings=as_json({**SETTINGS, "call": config_arguments()}),
    message:
        "Saving the resolved configuration"
    shell:
        "python -m ldct --log {log} save-config --settings {params.settings:q} --output {output}"
