"""A moment that the database gives as a text, and an id as its bytes, stand in answers and cursors as themselves."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.query.model.catalog import CALLS
from service.query.records.ordering import MOMENT, ordering_of
from service.query.rendering.functions import moment_texts
from service.storage.database import Database

ORDERING = ordering_of(CALLS, ())
READ = f"""
    SELECT {", ".join(f"{sql} AS {name}" for name, sql in ORDERING.columns(texts=True).items())}
    FROM unnest($1::timestamptz[], $2::uuid[]) AS given (started_at, id)
"""
MICROSECONDS = st.one_of(st.integers(0, 2**57), st.integers(0, 2**37).map(lambda milliseconds: milliseconds * 1000))


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(counts=st.lists(MICROSECONDS, min_size=1, max_size=200))
async def test_texts_of_moments_read_as_the_moments(any_database_url: str, counts: list[int]) -> None:
    """Whatever the fraction: cut off to milliseconds in an answer, exact to the microsecond in a cursor."""
    moments = [datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=count) for count in counts]
    ids = [str(UUID(int=count << 66 | 7)) for count in counts]
    database = await Database.open(any_database_url)
    try:
        async with database.reading((1,)) as connection:
            rows = await connection.fetch(READ, moments, ids)
    finally:
        await database.close()

    assert [row[MOMENT] for row in rows] == moment_texts(moments)
    assert [ORDERING.position(row) for row in rows] == [*zip(counts, ids, strict=True)]
