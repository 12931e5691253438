"""The closed list of reasons why something that was reported is not stored: what is counted, logged and asked for."""

from enum import StrEnum


class Refusal(StrEnum):
    """Values are what logs and `/metrics` say; names are GraphQL's."""

    ROW_UNREADABLE = "row_unreadable"
    FIELD_MISSING = "field_missing"
    FIELD_INVALID = "field_invalid"
    ACCOUNT_UNUSABLE = "account_unusable"
    ACCOUNT_NOT_ALLOWED = "account_not_allowed"
    TOO_OLD = "too_old"
    TOO_NEW = "too_new"
    CORRECTION_INVALID = "correction_invalid"
    CONFLICT = "conflict"
    DATABASE_REFUSED = "database_refused"
    NOT_STORED = "not_stored"
    BODY_UNREADABLE = "body_unreadable"
    BODY_TOO_LARGE = "body_too_large"
    BODY_INCOMPLETE = "body_incomplete"
    ENCODING_NOT_SUPPORTED = "encoding_not_supported"
    UNAUTHENTICATED = "unauthenticated"
    FORBIDDEN = "forbidden"
    QUEUE_FULL = "queue_full"
    UNAVAILABLE = "unavailable"
    INTERNAL = "internal"
