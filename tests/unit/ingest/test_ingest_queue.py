"""Which of the waiting jobs are stored next: in turn, and small ones do not wait for all that others brought."""

from datetime import UTC, datetime

from policies import Admission, Report
from policies.admission.report import ErrorReport
from policies.policy.document import load_preset
from policies.redaction import Redactor
from service.ingest.pipeline.batch_store import BATCH_ERROR_CHARS, Job, JobQueue
from service.ingest.preparation.batch_context import Rules
from service.ingest.preparation.preparation import Prepared

NOW = datetime(2026, 11, 22, tzinfo=UTC)
POLICY = load_preset("default")
RULES = Rules(POLICY, Admission(POLICY, Redactor()))


def job(rows: int, *, message: str | None = None, parameter: str = "") -> Job:
    error = ErrorReport("E", message=message, parameters={"prompt": parameter}) if message is not None else None
    report = Report("native", "id", NOW, "gpt-4o", failed=error is not None, error=error)
    return Job([Prepared(report, RULES, 1, 1, NOW, f"{row:032x}", row, None) for row in range(rows)])


def queue_of(*jobs: Job) -> JobQueue:
    queue = JobQueue(2000)
    for each in jobs:
        queue.add(each)
    return queue


async def test_a_small_job_is_stored_with_the_first_of_many_large_ones() -> None:
    """Behind five reports of two thousand calls, a report of ten waits for one of them and not for five."""
    large, small = [job(2000) for _ in range(5)], job(10)
    queue = queue_of(*large, small)
    assert queue.take() == [large[0], small]
    assert [queue.take() for _ in range(5)] == [[large[1]], [large[2]], [large[3]], [large[4]], []]


async def test_long_error_texts_are_stored_a_few_at_a_time() -> None:
    """Fifty jobs of half of what fits are two each time, whether the text is a message or a parameter."""
    half = "x" * (BATCH_ERROR_CHARS // 2)
    for long in ({"message": half}, {"message": "", "parameter": half}):
        jobs, small = [job(1, **long) for _ in range(50)], job(10)
        queue = queue_of(*jobs, small)
        assert queue.take() == [jobs[0], jobs[1], small]
        assert queue.take() == [jobs[2], jobs[3]]


async def test_the_oldest_job_goes_first_however_many_small_ones_come() -> None:
    """A large job is never overtaken twice: with each batch the oldest one goes."""
    large, others = job(1995), [job(10) for _ in range(300)]
    queue = queue_of(others[0], large, *others[1:])
    assert large not in queue.take()
    for _ in range(100):
        queue.add(job(10))
    assert queue.take()[0] is large


async def test_everything_that_waits_is_stored_once() -> None:
    """Whatever the sizes, batches hold each job once, and none is larger than what is allowed beside the first job."""
    jobs = [job(size % 700 + 1, message="m" * (size * 37 % 9000)) for size in range(0, 4000, 13)]
    queue, batches = queue_of(*jobs), []
    while batch := queue.take():
        batches.append(batch)
    assert sorted(map(id, (each for batch in batches for each in batch))) == sorted(map(id, jobs))
    assert max(sum(len(each.calls) for each in batch) for batch in batches) < 2000 + 550
