"""Moments in reports."""

from datetime import UTC, datetime

import pytest

from service.ingest.formats.scalars import moment_of_epoch, moment_of_loose_text, moment_of_text
from service.rfc3339 import MomentError

MOMENT = datetime(2026, 11, 22, 10, 0, 0, 123000, UTC)


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-22T10:00:00.123Z",
        "2026-11-22t10:00:00.123z",
        "2026-11-22T10:00:00.123+00:00",
        "2026-11-22T15:30:00.123+05:30",
        "2026-11-22T10:00:00.1239999999999Z",
        "2026-11-22T10:00:00.123-00:00",
    ],
)
def test_rfc_3339_is_floored_to_milliseconds(text: str) -> None:
    """Offsets are applied, and digits beyond milliseconds are cut off, never rounded up."""
    assert moment_of_text(text) == MOMENT


@pytest.mark.parametrize(
    "text",
    [
        "2026-11-22T10:00:00",
        "2026-11-22 10:00:00Z",
        "2026-11-22",
        "2026-11-22T10:00Z",
        "2026-11-22T10:00:60Z",
        "2026-11-22T24:00:00Z",
        "2026-02-30T00:00:00Z",
        "2026-02-30T00:00:00.000Z",
        "2026-11-22T24:00:00.000Z",
        "1969-12-31T23:59:59.999Z",
        "٢٠٢٦-11-22T10:00:00.123Z",
        "2026-11-22T10:00:00.Z",
        "2026-11-22T10:00:00+0530",
        "2026-11-22T10:00:00Z\n",
        "٢٠٢٦-11-22T10:00:00Z",
        "1969-12-31T23:59:59Z",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-14:00",
        "1795341600",
        "",
    ],
)
def test_other_forms_are_refused(text: str) -> None:
    """Strict RFC 3339, section 5.6, with an offset, from 1970 on."""
    with pytest.raises(MomentError):
        moment_of_text(text)


def test_loose_text_may_lack_its_offset() -> None:
    """What LiteLLM's older versions write means UTC."""
    assert moment_of_loose_text("2026-11-22 10:00:00.123456") == MOMENT


@pytest.mark.parametrize("text", ["1795341600.123", "1795341600.1239999", "1.7953416001239E9"])
def test_epoch_seconds_are_read_as_decimal_text(text: str) -> None:
    """No binary float comes between the text and the millisecond."""
    assert moment_of_epoch(text) == MOMENT


@pytest.mark.parametrize("text", ["-1", "253402300800", "1e50", "", "x", "1e999999999"])
def test_seconds_out_of_range_are_refused(text: str) -> None:
    """From 1970 to 9999."""
    with pytest.raises(MomentError):
        moment_of_epoch(text)
