"""What `calledger policy try` answers, line by line."""

import json
from typing import Final

from policies import Action, Policy
from policies.admission.error import FAILURE_RULE, SIZE_CAP_RULE
from policies.redaction import HiddenKind, Redaction, RedactionError, Redactor

DROPPED_RULE: Final = "dropped"
_MESSAGE: Final = "CallError.message"
_EXPECTED: Final = 'is not an object with a string `text`: write {"text": "..."}'


class Trial:
    """One policy, tried on lines of NDJSON as on the messages of errors."""

    def __init__(self, policy: Policy, *, details: bool = False) -> None:
        self._redactor = Redactor(national_ids=policy.national_ids)
        action = policy.action(_MESSAGE)
        self._drops, self._seals = action is Action.DROP, action is Action.SEAL
        self._details = details
        self.lines = 0
        self.bad_lines = 0

    def answer(self, line: bytes) -> bytes | None:
        """The answer to a line, with its newline; None to an empty one."""
        self.lines += 1
        if not line.strip():
            return None
        text = _text_of(line)
        if text is None:
            self.bad_lines += 1
            return _encode({"error": f"line {self.lines} {_EXPECTED}"})
        return _encode(self._redact(text))

    def _redact(self, text: str) -> dict[str, object]:
        try:
            redaction = self._redactor.redact(text)
        except RedactionError:
            return self._answer("", {FAILURE_RULE}, set())
        if self._drops:
            return self._answer("", {DROPPED_RULE}, set())
        rules = set(redaction.counts) | ({SIZE_CAP_RULE} if redaction.truncated else set())
        return self._answer(redaction.masked, rules, _personal(redaction) if self._seals else set())

    def _answer(self, text: str, rules: set[str], sealed: set[str]) -> dict[str, object]:
        answer: dict[str, object] = {"text": text, "rules": sorted(rules)}
        return answer | {"sealed": sorted(sealed)} if self._details else answer


def _personal(redaction: Redaction) -> set[str]:
    return {span.rule for span in redaction.segments if not isinstance(span, str) and span.kind is HiddenKind.personal}


def _text_of(line: bytes) -> str | None:
    try:
        document = json.loads(line.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        return None
    text = document.get("text") if isinstance(document, dict) else None
    return text if isinstance(text, str) else None


def _encode(answer: dict[str, object]) -> bytes:
    try:
        return json.dumps(answer, ensure_ascii=False).encode() + b"\n"
    except UnicodeEncodeError:
        # Half a surrogate pair, which JSON can represent and UTF-8 cannot.
        return json.dumps(answer).encode() + b"\n"
