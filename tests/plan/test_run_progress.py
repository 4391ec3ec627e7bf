"""The line that says how far a run is."""

from logging import makeLogRecord

from ldct.plan.progress import RunProgress


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def run_of_two_trainings(planned):
    """After 20 min: one training of a planned 10 min has ended, another has run for 5 min."""
    clock = Clock()
    progress = RunProgress(planned, sum(planned.values()), clock)
    progress.handle(makeLogRecord({"event": "job_info", "jobid": 1, "log": ["a.log"]}))
    clock.now = 900.0
    progress.handle(makeLogRecord({"event": "job_finished", "job_id": 1}))
    progress.handle(makeLogRecord({"event": "job_info", "jobid": 2, "log": ["b.log"]}))
    progress.handle(makeLogRecord({"event": "job_info", "jobid": 3, "log": None}))
    clock.now = 1200.0
    return progress


def test_what_is_left_follows_the_work_done_and_the_pace_so_far():
    """15 of 60 planned minutes took 20: the other 45 take about 60."""
    progress = run_of_two_trainings({"a.log": 600.0, "b.log": 600.0, "c.log": 2400.0})
    line = progress.line({"done": 2, "total": 9})
    assert line.startswith("2 of 9 jobs, 20 min so far, about ")
    assert 54 <= float(line.split("about ")[1].split(" min left")[0]) <= 60


def test_nothing_is_foretold_without_a_plan_or_at_the_end():
    assert run_of_two_trainings({}).line({"done": 1, "total": 9}) == "1 of 9 jobs, 20 min so far"
    progress = run_of_two_trainings({"a.log": 600.0})
    assert progress.line({"done": 9, "total": 9}) == "9 of 9 jobs, 20 min so far"
