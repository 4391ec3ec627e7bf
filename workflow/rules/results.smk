"""What tables, figures and claims are made from."""

import subprocess

from snakemake.logging import logger

from ldct.table1.completeness import finished_scores
from ldct.claims.files import files_of_claims
from ldct.common.run_files import table_files, training_names
from ldct.plan.progress import RunProgress, duration
from ldct.statistics.adversary import training_records


def tables_of(table, methods, changes={}):
    """Files of one kind of per-slice table (scores, image_quality, ...), those of all seeds."""
    settings = SETTINGS | changes
    return [
        str(file)
        for method in methods
        for file in table_files(Path(RUN), settings, table, method)
    ]


def trainings_of(methods):
    """Records of the trainings behind methods; each says whether its adversary was at work."""
    return list(map(str, training_records(Path(RUN), SETTINGS, *methods)))


def made_by_rules(files):
    """Those of `files` that some rule makes; to be asked when all rules are known."""
    return [
        file for file in files if any(rule.is_producer(file) for rule in workflow.rules)
    ]


def measured(table, methods):
    """Files of one kind of table, as far as this run makes them; asked when all rules are known."""
    return lambda wildcards: made_by_rules(tables_of(table, methods))


def predictions_of(methods, patients, every_seed=True):
    """Prediction files of methods, of their first seed or of every one."""
    return [
        f"{RUN}/predictions/{method}/{seed}/{patient}.npy"
        for patient in patients
        for method in methods
        for seed in SETTINGS["method_seeds"][method][: None if every_seed else 1]
    ]


def stage_title(model):
    """What readers call a trained stage: its method's title, and the level within a cascade."""
    cards = SETTINGS["cards"]
    method, _, level = model.rpartition("_level")
    if model in cards or method not in cards:
        return cards.get(model, {}).get("title", model)
    return f"{cards[method]['title']}, level {level}"


def measured_for_claims():
    """Files that the claims are judged on, as far as this run makes them."""
    content = read_yaml(REPOSITORY / "config/claims.yaml")
    asked = sum(content["claims"].values(), content["checks"])
    return made_by_rules(map(str, files_of_claims(asked, Path(RUN), SETTINGS)))


def announce_time_and_place():
    """Say where results will be, and after every job how far the run is.

    For ./run.sh also about how long the jobs will take here.
    """
    jobs = [str(job.log[0]) for job in workflow.dag.needrun_jobs() if job.log]
    names = {log.removeprefix(f"{LOGS}/").removesuffix(".log"): log for log in jobs}
    ahead = seconds_of_jobs(list(names)) if names else {}
    planned = {names[name]: took for name, took in ahead.get("jobs", {}).items()}
    follow_run(RunProgress(planned, ahead.get("seconds", 0.0)))
    about = ""
    if ahead:
        took = duration(ahead["seconds"])
        about = f", about {took} on {workflow.cores} cores (estimate)"
    print(f"{len(jobs)} jobs{about}. Results: {RUN}/", file=sys.stderr)


def follow_run(progress):
    """Have Snakemake tell the progress in our line, in place of its own."""
    logger.addHandler(progress)
    for handler in logger.handlers:
        if hasattr(handler.formatter, "format_progress"):
            handler.formatter.format_progress = progress.line


def seconds_of_jobs(names):
    """What `ldct time-ahead` says of jobs; nothing where nobody asks, or it does not answer."""
    if not os.getenv("LDCT_TIME_AHEAD") or not workflow.local_exec:
        return {}
    command = [sys.executable, "-m", "ldct", "time-ahead"]
    command += ["--cores", str(workflow.cores or 1)]
    offered = workflow.resource_settings.resources
    gpus = offered["gpu"] if "gpu" in offered else 0
    # Older Snakemake has the number itself.
    command += ["--gpus", str(getattr(gpus, "value", gpus))]
    given = as_json({"settings": SETTINGS, "jobs": names})
    try:
        told = subprocess.run(
            command, input=given, capture_output=True, text=True, timeout=60
        )
    except subprocess.TimeoutExpired:
        return {}  # every core, or the GPU, is busy
    return json.loads(told.stdout) if told.returncode == 0 else {}


def table_of_finished_methods():
    """After failed jobs: Table I of the methods that have scores, the others with the reason."""
    scores, failed = finished_scores(SETTINGS, Path(RUN), Path(LOGS))
    if not scores or not all(map(os.path.isfile, ALL_TILES)):
        return
    folder = Path(RUN, "tables")
    command = [sys.executable, "-m", "ldct", "--log", f"{LOGS}/table1.log", "table1"]
    command += ["--scores", *scores, "--tiles", *ALL_TILES]
    command += ["--run-folder", RUN]
    command += ["--protocols", *SETTINGS["protocol_files"]]
    command += ["--published", REPOSITORY / "config/published.yaml"]
    command += ["--margins", REPOSITORY / "config/margins.yaml"]
    command += ["--settings", as_json({**TABLE_SETTINGS, "failed": failed})]
    subprocess.run([*command, "--output", folder], check=True)
    for path in map(Path, rules.table1.output):
        # Older than every input, so that the next run makes the table anew.
        if path.is_file():
            os.utime(path, (0, 0))
    print(f"{folder}: Table I without {', '.join(failed)}", file=sys.stderr)


def config_arguments():
    """What configured this run on the command line, so that the same call can be made again."""
    given = workflow.config_settings
    return {
        "configfiles": [os.path.relpath(path) for path in given.configfiles],
        "config": dict(given.config),
    }
