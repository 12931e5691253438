"""Deltas of the sums by tag: what calls add to them, for each tag that they carry and that is summed.

A tag is summed while it is in `usage_tag_key`: who adds one there waits for the writers that have not seen it
(`service/retention/rollups/tag_keys.py`). Calls that carry none of these tags make no deltas.
"""

from typing import Final, LiteralString

_COLUMNS: Final[LiteralString] = (
    "bucket_at, account_id, tier, tag_key, tag_value, currency, calls, errors, input_tokens, output_tokens, "
    "cache_read_tokens, cache_write_tokens, reasoning_tokens, priced, amount, estimated, wasted, latency_buckets"
)
TAGS_LOCK: Final = 0x63616C6C_0040
"""The advisory lock of the tags that are summed: shared by who has read them and stores calls elsewhere."""
DELTA_COLUMNS: Final = tuple(_COLUMNS.split(", "))


def tag_rows_of(
    rows: LiteralString,
    *,
    corrections: bool = False,
    sided: bool = False,
    chosen: LiteralString = "true",
    keys: LiteralString = "usage_tag_key",
) -> LiteralString:
    """A SELECT of the deltas of calls by tag. `rows` has columns of `call`.

    `corrections`: there may be some among them, which add to amounts alone. `sided`: `rows` has a column `side`, 1 or
    -1: what is added, and what is taken away. `chosen`: the condition of the tags that are summed; `keys`: where they
    are, as `tag_key`.
    """
    of_calls: LiteralString = "correction_of IS NULL" if corrections else "true"
    side: LiteralString = "side" if sided else "1"
    by_side: LiteralString = "side * " if sided else ""
    bin_: LiteralString = "calledger_latency_bucket(latency_ms)"
    if sided:
        bin_ = f"CASE WHEN side = 1 THEN {bin_} ELSE (-1 - {bin_})::smallint END"

    tokens: LiteralString = ", ".join(
        f"coalesce(sum({by_side}{name}{'::bigint' if sided else ''}), 0) AS {name}"
        for name in ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "reasoning_tokens")
    )
    amount: LiteralString = f"sum({by_side}amount)"
    return f"""
    SELECT
        date_bin('30 minutes', started_at, '1970-01-01 00:00:00+00') AS bucket_at, account_id, tier, tag_key,
        coalesce(tags ->> tag_key, '') AS tag_value, coalesce(currency, '') AS currency,
        coalesce(sum({side}) FILTER (WHERE {of_calls}), 0) AS calls,
        coalesce(sum({side}) FILTER (WHERE failed AND {of_calls}), 0) AS errors, {tokens},
        coalesce(sum({side}) FILTER (WHERE amount IS NOT NULL AND {of_calls}), 0) AS priced,
        coalesce({amount}, 0) AS amount, coalesce({amount} FILTER (WHERE amount_source = 3), 0) AS estimated,
        coalesce({amount} FILTER (WHERE failed), 0) AS wasted,
        coalesce(array_agg({bin_}) FILTER (WHERE latency_ms IS NOT NULL), '{{}}') AS latency_buckets
    FROM {rows} JOIN {keys} ON jsonb_exists(tags, tag_key) AND {chosen}
    GROUP BY 1, 2, 3, 4, 5, 6
"""  # noqa: S608 - names of our own


def tag_deltas_of(
    rows: LiteralString, *, corrections: bool = False, sided: bool = False, chosen: LiteralString = "true"
) -> LiteralString:
    """An INSERT of the deltas that `tag_rows_of` selects."""
    selected = tag_rows_of(rows, corrections=corrections, sided=sided, chosen=chosen)
    return f"INSERT INTO usage_tag_delta ({_COLUMNS}) {selected}"
