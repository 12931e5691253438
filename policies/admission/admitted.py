"""What the policy lets be stored of one call: the outcome of its admission."""

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from policies.admission.report import AmountPart, AmountSource, AmountUnknown, Attributes, Source
from policies.redaction import ContentIndex


@dataclass(slots=True)
class AdmittedError:
    """The error record of a failed call, ready to be sealed.

    `occurred_at` None means: the writer takes started_at + latency. `blob` is plaintext (packed segments) that the
    writer seals, None when nothing of the details is kept. The writer puts `fingerprint_basis` through its HMAC.
    `rules` says how often each redaction rule fired.
    """

    type: str
    code: str | None
    occurred_at: datetime | None
    blob: bytes | None = field(repr=False)
    fingerprint_basis: bytes = field(repr=False)
    rules: dict[str, int]


@dataclass(slots=True)
class AdmittedFailure:
    """What a failed call keeps: type and code on the call itself, and its error record.

    `content` is what the call's other names are held against; None when it could not be gathered.
    """

    type: str | None
    code: str | None
    record: AdmittedError | None
    content: ContentIndex | None


@dataclass(slots=True)
class Admitted:
    """One call as the policy lets it be stored; None is "not reported" or "not kept".

    `user` is the plain id, present only if the policy hashes it: the writer turns it into a token and stores nothing
    else. `removed` counts what was left out or cleaned, by our own names for it. `rejected` is a reason why the row
    must not be stored at all; the reason holds nothing of the report.
    """

    source: Source
    source_id: str
    started_at: datetime
    account: str | None
    api_key: str | None
    user: str | None = field(repr=False)
    model: str
    served_model: str | None
    provider: str | None
    operation: str | None
    failed: bool
    streamed: bool | None
    input_tokens: int | None
    output_tokens: int | None
    cache_read_tokens: int | None
    cache_write_tokens: int | None
    reasoning_tokens: int | None
    amount: Decimal | None
    currency: str | None
    amount_source: AmountSource | None
    amount_parts: list[AmountPart] | None
    corrects: str | None
    latency_ms: int | None
    time_to_first_token_ms: int | None
    tags: dict[str, str]
    error_type: str | None
    error_code: str | None
    error: AdmittedError | None
    removed: dict[str, int]
    rejected: str | None = None
    amount_unknown: AmountUnknown | None = None
    attributes: Attributes | None = None
