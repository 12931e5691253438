"""The shapes that redaction speaks in: kinds, hidden spans and the result."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class HiddenKind(StrEnum):
    """What a hidden span is; it decides whether its text may be kept under seal."""

    secret = "secret"  # noqa: S105  # a credential: gone for good
    personal = "personal"  # data about a person: kept under seal by policy, or dropped
    provider = "provider"  # the operator's identity at a provider: gone for good
    content = "content"  # an echo of the report's own content: gone for good


@dataclass(frozen=True, slots=True)
class Hidden:
    """A span that was taken out; `text` is None unless the kind is `personal`."""

    rule: str
    kind: HiddenKind
    text: str | None = None

    @property
    def mark(self) -> str:
        """What stands in the masked text in place of the span."""
        return f"[redacted:{self.rule}]"


Segment = str | Hidden
Segments = tuple[Segment, ...]


def mask(segments: Segments) -> str:
    """Join segments with every hidden span as its mark."""
    return "".join([s if isinstance(s, str) else s.mark for s in segments])


def reveal(segments: Segments) -> str:
    """Join segments with personal text in place; what is gone stays a mark."""
    return "".join([s if isinstance(s, str) else s.mark if s.text is None else s.text for s in segments])


@dataclass(frozen=True, slots=True)
class Redaction:
    """The outcome for one text: what stays in clear, what was taken out, and by which rules.

    `counts` is the number of hidden spans by rule id.
    `truncated` says that the text was cut at the size cap before it was scanned.
    """

    segments: Segments
    counts: Mapping[str, int] = field(default_factory=dict[str, int])
    truncated: bool = False

    @property
    def masked(self) -> str:
        """The text with `[redacted:<rule>]` in place of every hidden span."""
        return mask(self.segments)

    @property
    def revealed(self) -> str:
        """The text with personal spans in place and everything else still marked."""
        return reveal(self.segments)
