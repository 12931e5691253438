"""A moment that the database gives as a text is answered, and stands in a cursor, as the moment itself."""

from datetime import UTC, datetime, timedelta

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.query.compiled_rows import moment_texts
from service.query.fields import CALLS
from service.query.ordering import MOMENT, ordering_of
from service.storage.database import Database

ORDERING = ordering_of(CALLS, ())
READ = f"SELECT {ORDERING.columns(texts=True)[MOMENT]} AS {MOMENT}, 'x' AS id FROM unnest($1::timestamptz[]) started_at"
MICROSECONDS = st.one_of(st.integers(0, 2**57), st.integers(0, 2**37).map(lambda milliseconds: milliseconds * 1000))


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(counts=st.lists(MICROSECONDS, min_size=1, max_size=200))
async def test_texts_of_moments_read_as_the_moments(any_database_url: str, counts: list[int]) -> None:
    """Whatever the fraction: cut off to milliseconds in an answer, exact to the microsecond in a cursor."""
    moments = [datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=count) for count in counts]
    database = await Database.open(any_database_url)
    try:
        async with database.reading((1,)) as connection:
            rows = await connection.fetch(READ, moments)
    finally:
        await database.close()

    assert [row[MOMENT][:23] + "Z" for row in rows] == moment_texts(moments)
    assert [ORDERING.position(row)[0] for row in rows] == counts
