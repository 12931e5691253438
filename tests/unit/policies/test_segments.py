"""One blob, two readings."""

import pytest

from policies.admission.segments import (
    ErrorDetails,
    Parameter,
    ParameterAction,
    SegmentsError,
    masked,
    pack_segments,
    revealed,
    rules,
    stripped,
    unpack_segments,
)

MESSAGE = ("user ", ("email", "ann@example.com"), " sent key ", ("openai-key", None), " twice, ", ("email", "b@c.de"))
DETAILS = ErrorDetails(
    MESSAGE,
    {
        "temperature": Parameter(ParameterAction.KEPT, ("0.2",)),
        "metadata.owner": Parameter(ParameterAction.MASKED, ('"', ("email", "ann@example.com"), '"')),
        "messages": Parameter(ParameterAction.SHAPED, ('{"count":2}',)),
        "prompt": Parameter(ParameterAction.DROPPED),
    },
)


def test_masked() -> None:
    """The masked view names the rule of each span and shows none."""
    assert masked(MESSAGE) == "user [redacted:email] sent key [redacted:openai-key] twice, [redacted:email]"


def test_revealed() -> None:
    """The revealed view shows what was kept, and names the rule where nothing was."""
    assert revealed(MESSAGE) == "user ann@example.com sent key [redacted:openai-key] twice, b@c.de"


def test_stripped() -> None:
    """Stripped segments mask the same and reveal nothing more."""
    assert masked(MESSAGE) == masked(stripped(MESSAGE)) == revealed(stripped(MESSAGE))


def test_rules() -> None:
    """Rules are counted by how often they fired."""
    assert rules(MESSAGE) == {"email": 2, "openai-key": 1}


def test_round_trip() -> None:
    """Unpacking gives back what was packed."""
    assert unpack_segments(pack_segments(DETAILS)) == DETAILS


def test_stable_bytes() -> None:
    """Equal details have equal bytes, in whatever order their parameters came."""
    backwards = ErrorDetails(DETAILS.message, dict(reversed(DETAILS.parameters.items())))

    assert pack_segments(DETAILS) == pack_segments(backwards)


def test_compact() -> None:
    """The bytes are compact JSON as the specification shows it."""
    details = ErrorDetails(("naïve ", ("email", None)), {"n": Parameter(ParameterAction.KEPT, ("1",))})

    packed = pack_segments(details)

    assert packed.decode() == '{"message":["naïve ",["email",null]],"parameters":{"n":{"action":"KEPT","value":["1"]}}}'


def test_nothing() -> None:
    """Details without message and parameters are packed too: no message is not an empty one."""
    assert ErrorDetails() == unpack_segments(pack_segments(ErrorDetails()))
    assert ErrorDetails(()) == unpack_segments(pack_segments(ErrorDetails(())))
    assert ErrorDetails() != ErrorDetails(())


def test_lone_surrogate() -> None:
    """Text that UTF-8 cannot hold does not lose the rest of the message."""
    assert ErrorDetails(("a?b",)) == unpack_segments(pack_segments(ErrorDetails(("a\ud800b",))))


@pytest.mark.parametrize("rule", ["", "Email", "e]mail", "e mail", "e" * 65, "é"])
def test_rule_names(rule: str) -> None:
    """A rule name that could be mistaken for text is refused."""
    with pytest.raises(SegmentsError):
        pack_segments(ErrorDetails(((rule, "x"),)))


@pytest.mark.parametrize(
    "packed",
    [
        b"",
        b"null",
        b"[]",
        b"\xff",
        b'{"message":"text"}',
        b'{"message":[1]}',
        b'{"message":[["email"]]}',
        b'{"message":[["email",1]]}',
        b'{"message":[["email","a","b"]]}',
        b'{"message":[["E]","a"]]}',
        b'{"message":null}',
        b'{"more":[]}',
        b'{"parameters":[]}',
        b'{"parameters":{"n":{"action":"SHOWN","value":["1"]}}}',
        b'{"parameters":{"n":{"value":["1"]}}}',
        b'{"parameters":{"n":{"action":"KEPT","value":["1"],"x":1}}}',
        b"[" * 100_000,
    ],
)
def test_refuses(packed: bytes) -> None:
    """What `pack_segments` does not write is refused whole, not read in part."""
    with pytest.raises(SegmentsError):
        unpack_segments(packed)
