"""The question whose answer a webhook is sent as `calls.recorded`: what anybody could ask of `changes`."""

from service.api.exports.kinds import Fields, selection_of


def changes_operation(fields: Fields) -> str:
    """The operation that asks for a part of the feed. Its text is made of names of our own alone."""
    return f"""
    query ($filter: CallFilter, $after: String, $until: String, $first: Int) {{
      changes(filter: $filter, after: $after, until: $until, first: $first) {{
        unreadable nodes {{ kind recordedAt call {{ {selection_of(fields)} }} }} pageInfo {{ endCursor hasNextPage }}
      }}
    }}
    """
