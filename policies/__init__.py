"""The policies: what may be kept, seen, and by whom. Pure: values in, values out; nothing here reads a clock, a file of
the operator's, or a source of randomness.

    document   policy.toml <-> Policy          admission  report x Policy -> what may be stored
    views      role x field -> view            explain    what a policy does, and what a change of it would

This module is the public door. Sealing, pseudonyms, redaction and retention have their own: `policies.envelope`,
`policies.admission.segments`, `policies.pseudonym`, `policies.redaction`, `policies.retention`.
"""

from policies.admission.admitted import Admitted
from policies.admission.call import Admission, AdmittedError, UnchangedReport
from policies.admission.report import (
    AmountPart,
    Attributes,
    ErrorReport,
    Json,
    Report,
    Source,
)
from policies.errors import PolicyChangeError, PolicyDocumentError, PolicyError, SchemaCoverageError, UnknownPresetError
from policies.policy.change import check_change
from policies.policy.document import (
    PRESETS,
    canonical,
    completed,
    digest,
    load_preset,
    parse,
    parse_applied,
    preset_text,
    unnamed,
)
from policies.policy.explain import Difference, Effect, UnknownFieldError, diff, explain
from policies.policy.fields import DATA_FIELDS
from policies.policy.model import (
    Action,
    DataClass,
    Policy,
    PseudonymPeriod,
    Role,
    RoleRule,
    Store,
    Tier,
    View,
)
from policies.policy.roots import ROOT_FIELDS
from policies.policy.views import (
    STRUCTURAL_TYPES,
    check_schema,
    filterable,
    masked_text,
    may_ask,
    may_filter_by_plain_user,
    view,
    view_table,
)

__all__ = [
    "DATA_FIELDS",
    "PRESETS",
    "ROOT_FIELDS",
    "STRUCTURAL_TYPES",
    "Action",
    "Admission",
    "Admitted",
    "AdmittedError",
    "AmountPart",
    "Attributes",
    "DataClass",
    "Difference",
    "Effect",
    "ErrorReport",
    "Json",
    "Policy",
    "PolicyChangeError",
    "PolicyDocumentError",
    "PolicyError",
    "PseudonymPeriod",
    "Report",
    "Role",
    "RoleRule",
    "SchemaCoverageError",
    "Source",
    "Store",
    "Tier",
    "UnchangedReport",
    "UnknownFieldError",
    "UnknownPresetError",
    "View",
    "canonical",
    "check_change",
    "check_schema",
    "completed",
    "diff",
    "digest",
    "explain",
    "filterable",
    "load_preset",
    "masked_text",
    "may_ask",
    "may_filter_by_plain_user",
    "parse",
    "parse_applied",
    "preset_text",
    "unnamed",
    "view",
    "view_table",
]
