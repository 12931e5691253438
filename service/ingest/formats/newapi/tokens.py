"""Token counts: input includes what was read from a cache and written to it."""

from policies.admission.report import Report
from service.ingest.formats.newapi.log_row import LogRow


def read_tokens(row: LogRow, report: Report) -> None:
    """Give the report its counts.

    For Claude's own form the gateway counts the prompt without what is cached (`other.claude`), else with it. More read
    from a cache than was prompted was counted without it, too, whatever the row says. What was written may be a count
    that overlaps: where it does not fit in, it is left out.
    """
    prompt, report.output_tokens = row.integer("prompt_tokens"), row.integer("completion_tokens")
    report.input_tokens = prompt
    if not row.other:
        return
    read, written = row.part("cache_tokens"), written_tokens(row)
    if prompt is None or not (read or written):
        return
    if row.other.get("claude") is True or read > prompt:
        report.input_tokens = prompt + read + written
    elif read + written > prompt:
        row.note("other.cache_creation_tokens", "and `cache_tokens` are more than the input that they are part of")
        written = 0
    report.cache_read_tokens, report.cache_write_tokens = read or None, written or None


def written_tokens(row: LogRow) -> int:
    """Tokens that were written to a cache, of both lifetimes."""
    split = row.part("cache_creation_tokens_5m") + row.part("cache_creation_tokens_1h")
    return max(row.part("cache_creation_tokens"), split)
