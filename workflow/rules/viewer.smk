"""Slices of all methods, packed for the page of the run."""

# What the page reads beside Python code.
VIEWER_PARTS = [
    PACKAGE / "viewer" / name
    for name in (
        "viewer.html",
        "viewer.css",
        "images.js",
        "colours.js",
        "scores.js",
        "viewer.js",
        "controls.js",
    )
]


if SETTINGS["viewer"]:

    rule pack_slices:
        """Every lesion slice as a crop, and some whole slices, in the images of all methods."""
        input:
            test=TEST_FILES,
            predictions=predictions_of(METHODS, TEST_PATIENTS, every_seed=False),
            lesions=f"{DATA}/lesions.csv",
            protocol=SETTINGS["protocol_file"],
            code=code_behind("pack-slices"),
        output:
            f"{RUN}/viewer/slices.json",
        log:
            f"{LOGS}/pack_slices.log",
        benchmark:
            f"{RUN}/benchmarks/pack_slices.tsv"
        conda:
            JUDGING
        params:
            test=TEST_FOLDERS,
            titles=as_json(titles(SHOWN)),
            note=FIGURE_NOTE,
            settings=as_json(SETTINGS["viewer"]),
        message:
            "Packing slices for the page"
        shell:
            "python -m ldct --log {log} pack-slices --test-folders {params.test}"
            " --predictions {input.predictions} --titles {params.titles:q} --lesions {input.lesions}"
            " --protocol {input.protocol:q} --note {params.note:q} --settings {params.settings:q}"
            " --output {output}"

    RESULTS += rules.pack_slices.output
