"""Column maps: what a cell becomes, what a mistake in the map costs, and what a wrong cell does."""

import json
import pickle
import re
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from policies import Report
from service.ingest.formats.mapped.column_map import ColumnMapError, read_column_map
from service.ingest.formats.mapped.reader import MappedReader
from service.ingest.formats.mapped.suggestion import suggested_map
from service.ingest.formats.split import Rejection
from service.ingest.refusals import Refusal

MAP = """
[file]
time_zone = "Europe/Berlin"
decimal = ","
thousands = "."

[call]
id = { column = "Request", prefix = "billing/" }
started_at = { column = "Time", format = "%d.%m.%Y %H:%M:%S" }
model = { column = "Model", words = { "GPT four" = "gpt-4o" } }
account = { column = "Customer", default = "house" }
user = "Person"
status = { column = "State", succeeded = ["ok", "200"], failed = ["error"] }
amount = { column = "Micro", factor = "0.000001", strip = "€" }
currency = { value = "EUR" }
input_tokens = { sum = ["Fresh", "Cached"] }
cache_read_tokens = "Cached"
output_tokens = "Out"
latency_ms = { column = "Seconds", factor = "1000" }
streamed = { column = "Streamed", true = ["ja"], false = ["nein"] }

[tags]
team = "Team"
origin = { value = "history" }

[units]
images = "Images"

[error]
type = "Kind"
message = "Error"
"""
ROW = {
    "Request": "r-1",
    "Time": "20.11.2026 10:00:00",
    "Model": "GPT four",
    "Person": "jane.doe",
    "State": "ok",
    "Micro": "1.234,5 €",
    "Fresh": "1.000",
    "Cached": "200",
    "Out": "50",
    "Seconds": "1,25",
    "Streamed": "ja",
    "Team": "search",
    "Images": "2",
    "Prompt": "CANARY asks for the recipe of the house",
}


def read(row: Any, document: str = MAP) -> Report | Rejection:
    return MappedReader(document.encode(), "map.toml")(json.dumps(row).encode())


def call(row: Any, document: str = MAP) -> Report:
    report = read(row, document)
    assert isinstance(report, Report), report
    return report


def refused(row: Any, document: str = MAP) -> str:
    rejection = read(row, document)
    assert isinstance(rejection, Rejection), rejection
    return rejection.reason


def simple(**entries: str) -> str:
    """A map of id, start and model, and what else is given as TOML."""
    rest = {"id": '"id"', "started_at": '"at"', "model": '"model"'} | entries
    return "[call]\n" + "\n".join(f"{name} = {said}" for name, said in rest.items())


def test_a_row_by_the_map() -> None:
    """Times in the map's zone, numbers in its notation, factors, words, sums, constants, defaults and prefixes."""
    report = call(ROW)
    assert (report.source, report.source_id, report.model) == ("csv", "billing/r-1", "gpt-4o")
    assert report.started_at == datetime(2026, 11, 20, 9, 0, tzinfo=UTC)
    assert (report.account, report.user, report.failed, report.streamed) == ("house", "jane.doe", False, True)
    assert (report.amount, report.currency, report.amount_source) == (Decimal("0.0012345"), "EUR", "BILLED")
    assert (report.input_tokens, report.cache_read_tokens, report.output_tokens) == (1200, 200, 50)
    assert report.latency_ms == 1250 and report.tags == {"team": "search", "origin": "history"}
    assert report.attributes is not None and report.attributes.units == {"images": Decimal(2)}
    assert report.dropped == {"unknown": 1} and report.warnings == ()


def test_what_is_not_mapped_is_not_kept_and_is_looked_through_for_echoes() -> None:
    """Other columns of a failed call are at hand while echoes are cut out of its error, and nowhere else."""
    report = call(ROW | {"State": "error", "Kind": "Bad", "Error": "you said: CANARY asks for the recipe of the house"})
    assert report.error is not None and report.error.type == "Bad"
    assert "CANARY asks for the recipe of the house" in report.content
    report.content, report.error.message = [], None
    assert "CANARY" not in repr(report) + repr(report.tags) + repr(report.error.parameters)


@pytest.mark.parametrize(
    ("cells", "why"),
    [
        ({"Time": "2026-11-20 10:00"}, "`started_at`, column `Time`: `2026-11-20 10:00` is no time of the form"),
        ({"State": "cancelled"}, "`status`, column `State`: `cancelled` stands neither in `succeeded` nor in `failed`"),
        ({"Request": ""}, "`id` is required"),
        ({"Model": ""}, "`model` is required"),
        ({"Time": ""}, "`started_at` is required, or `ended_at` and `latency_ms`"),
        ({"Customer": "x" * 300}, "`account` must be"),
    ],
)
def test_a_row_without_what_its_call_is_found_by_is_refused(cells: dict[str, str], why: str) -> None:
    """The reason names the field, the column and what stands in it."""
    assert why in refused(ROW | cells)


@pytest.mark.parametrize(
    ("cells", "field", "why"),
    [
        ({"Micro": "1.5"}, "amount", "`amount`, column `Micro`: `1.5` is no number"),
        ({"Micro": "NaN"}, "amount", "`amount`, column `Micro`: `NaN` is no number"),
        ({"Micro": "1" * 40}, "amount", "`amount`, column `Micro`"),
        ({"Fresh": "12,5"}, "input_tokens", "`input_tokens`, column `Fresh`: `12,5` is no whole number"),
        ({"Out": "-1"}, "output_tokens", "`output_tokens`, column `Out`"),
        ({"Seconds": "1e9"}, "latency_ms", "`latency_ms`, column `Seconds`"),
        ({"Streamed": "vielleicht"}, "streamed", "is none of the words for true and false"),
        ({"Images": "two"}, "units", "`units.images`, column `Images`: `two` is no number"),
    ],
)
def test_another_cell_that_cannot_be_read_costs_itself(cells: dict[str, str], field: str, why: str) -> None:
    """The call is taken without it, and the answer says why; an amount is unknown then, with the reason."""
    report = call(ROW | cells)
    assert any(why in warning for warning in report.warnings), report.warnings
    assert report.dropped[field] == 1
    assert (report.amount_unknown == "UNREADABLE") == (field == "amount") == (report.amount is None)


def test_an_error_never_quotes_what_may_be_content() -> None:
    """A sentence in a mapped column, as where the wrong column is mapped, is not repeated in the reason."""
    secret = "please write a poem about my neighbour"
    assert secret not in refused(ROW | {"Time": secret}) and secret not in refused(ROW | {"State": secret})
    key = "sk-proj-AbCdEfGhIjKlMnOp"
    assert key not in refused(ROW | {"State": key})


TIMES = [
    ("iso", "2026-11-20T10:00:00Z", "2026-11-20T10:00:00"),
    ("iso", "2026-11-20 10:00:00.123456789+02:00", "2026-11-20T08:00:00.123"),
    ("iso", "2026-11-20 10:00", "2026-11-20T10:00:00"),
    ("epoch", "1795168800", "2026-11-20T10:00:00"),
    ("epoch", 1795168800.1239, "2026-11-20T10:00:00.123"),
    ("epoch_ms", "1795168800123", "2026-11-20T10:00:00.123"),
    ("epoch_us", "1795168800123999", "2026-11-20T10:00:00.123"),
    ("epoch_ns", "1795168800123999999", "2026-11-20T10:00:00.123"),
    ("%m/%d/%Y %I:%M:%S %p", "11/20/2026 10:00:00 AM", "2026-11-20T10:00:00"),
    ("%a, %d %b %Y %H:%M:%S %z", "Fri, 20 Nov 2026 10:00:00 +0100", "2026-11-20T09:00:00"),
]


@pytest.mark.parametrize(("form", "cell", "moment"), TIMES)
def test_forms_of_times(form: str, cell: str | float, moment: str) -> None:
    """Every form is read to the millisecond, floored, in UTC."""
    report = call({"id": "1", "at": cell, "model": "m"}, simple(started_at=f'{{ column = "at", format = "{form}" }}'))
    assert report.started_at == datetime.fromisoformat(moment).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    "cell", ["1969-12-31T00:00:00Z", "99999999999999", "2026-13-01 00:00:00", "20261120", "", None]
)
def test_times_that_are_none(cell: str | None) -> None:
    """What is out of range, or of another form, refuses the row."""
    assert "started_at" in refused({"id": "1", "at": cell, "model": "m"}, simple())


def test_the_start_comes_of_the_end_and_the_latency() -> None:
    """Of a file that has the end of calls alone the start is worked out, and the latency where that is missing."""
    ended = simple(started_at='"at"', ended_at='"end"')
    report = call({"id": "1", "at": "2026-11-20T10:00:00Z", "end": "2026-11-20T10:00:02.5Z", "model": "m"}, ended)
    assert report.latency_ms == 2500
    alone = '[call]\nid = "id"\nended_at = "end"\nlatency_ms = "ms"\nmodel = "model"'
    report = call({"id": "1", "end": "2026-11-20T10:00:02.5Z", "ms": "1500", "model": "m"}, alone)
    assert (report.started_at, report.latency_ms) == (datetime(2026, 11, 20, 10, 0, 1, tzinfo=UTC), 1500)


def test_an_id_of_columns_is_the_same_again_and_another_for_another_row() -> None:
    """A file without ids has ids all the same: of some columns, or of the whole row."""
    some, whole = simple(id='{ of = ["at", "model"] }'), simple(id='{ of = ["*"] }')
    row = {"at": "2026-11-20T10:00:00Z", "model": "m", "note": "a"}
    for document in (some, whole):
        assert call(row, document).source_id == call(row, document).source_id
        assert call(row, document).source_id != call(row | {"model": "n"}, document).source_id
    assert call(row, some).source_id == call(row | {"note": "b"}, some).source_id
    assert call(row, whole).source_id != call(row | {"note": "b"}, whole).source_id


def test_paths_lead_into_nested_json() -> None:
    """A name with dots finds a value inside of objects, unless a column has that very name."""
    document = simple(input_tokens='"usage.prompt"')
    row = {"id": 7, "at": "2026-11-20T10:00:00Z", "model": "m"}
    report = call(row | {"usage": {"prompt": 5}}, document)
    assert (report.source_id, report.input_tokens) == ("7", 5)
    assert call(row | {"usage.prompt": 6, "usage": {"prompt": 5}}, document).input_tokens == 6
    assert call(row | {"usage": "none"}, document).input_tokens is None


MONEY = [
    ("0.000225", "0.000225"),
    ("0.00022500000000000002", "0.000225"),
    ("5.549999999999999e-06", "0.00000555"),
    ("123456789.123456789012", "123456789.123456789012"),
    (0.1, "0.1"),
    (7, "7"),
]


@pytest.mark.parametrize(("cell", "amount"), MONEY)
def test_amounts_are_exact(cell: str | float, amount: str) -> None:
    """Up to twelve places as they stand; with more a binary float was printed, and its noise goes."""
    document = simple(amount='"cost"', currency='{ value = "USD" }')
    report = call({"id": "1", "at": "2026-11-20T10:00:00Z", "model": "m", "cost": cell}, document)
    assert f"{report.amount:f}" == amount


WRONG = [
    ("", "`id` is required"),
    ("[call\n", "is not TOML"),
    ("[cal]\n", "`cal` is not known: did you mean `call`?"),
    (simple(modle='"x"'), "`modle` is not known: did you mean `model`?"),
    (simple(amount='"cost"'), "`amount` and `currency` go together"),
    (simple(status='"state"'), "say which words mean what"),
    (simple(status='{ column = "s", succeeded = ["a"], failed = ["a"] }'), "or twice in one"),
    (simple(status='{ value = "good" }'), "`value` must be `succeeded` or `failed`"),
    (simple(user='{ column = "a", value = "b" }'), "say one of `column`, `value`"),
    (simple(user="5"), "it must be a column's name, or a table"),
    (simple(user='{ column = "a", factor = "2" }'), "`factor` is not known"),
    (simple(input_tokens='{ column = "a", factor = "0" }'), "`factor` must be a number above zero"),
    (simple(input_tokens='{ column = "a", factor = "NaN" }'), "`factor` must be a number above zero"),
    (simple(started_at='{ column = "a", time_zone = "Mars/Olympus" }'), "is no time zone"),
    ('[file]\nencoding = "klingon"\n' + simple(), "`klingon` is not known"),
    ('[file]\ndecimal = ","\nthousands = ","\n' + simple(), "another mark"),
    ('[call]\nid = "id"\nmodel = "m"\n', "`started_at` is required, or `ended_at` and `latency_ms`"),
]


@pytest.mark.parametrize(("document", "why"), WRONG)
def test_a_mistake_in_the_map_is_an_error_before_anything_is_read(document: str, why: str) -> None:
    """The error names the file, the entry, and what to do."""
    with pytest.raises(ColumnMapError) as caught:
        read_column_map(document.encode(), "map.toml")
    assert why in str(caught.value) and "map.toml" in str(caught.value)


@pytest.mark.parametrize("row", [b"", b"{", b"5", b"null", b'{"id":"\xff"}', b"[" * 5000 + b"]" * 5000])
def test_what_is_no_row_is_refused(row: bytes) -> None:
    """Garbage is refused as no row; an array is a line of CSV that has another number of cells than the header."""
    answer = MappedReader(MAP.encode(), "map.toml")(row)
    assert isinstance(answer, Rejection) and answer.code in (Refusal.ROW_UNREADABLE, Refusal.FIELD_MISSING)
    assert "another number of cells" in refused(["a", "b"])


def test_a_reader_goes_to_the_process_of_long_rows() -> None:
    """A reader that was pickled and made again reads the same."""
    reader = MappedReader(MAP.encode(), "map.toml")
    again: MappedReader = pickle.loads(pickle.dumps(reader))
    assert again(json.dumps(ROW).encode()) == reader(json.dumps(ROW).encode()) and repr(again) == repr(reader)


def test_a_suggestion_can_be_used_as_it_stands() -> None:
    """A map that is guessed from a file's header and its first rows reads those rows."""
    names = ["Request ID", "createdAt", "Model Name", "Cost", "State", "Prompt", "promptTokens", "Region"]
    cells = ["r-1", "20.11.2026 10:00:00", "gpt-4o", "1.234,5", "OK", "CANARY", "7", "eu"]
    row = dict(zip(names, cells, strict=True))
    document = suggested_map(names, [row])
    report = call(row, document)
    assert (report.source_id, report.model, report.input_tokens) == ("r-1", "gpt-4o", 7)
    assert (report.amount, report.failed) == (Decimal("1234.5"), False)
    assert report.started_at == datetime(2026, 11, 20, 10, 0, tzinfo=UTC)
    assert '# Not kept: "Prompt", "Region"' in document


def test_names_of_columns_are_quoted_in_a_suggestion() -> None:
    """A header may hold quotes, backslashes and control characters: what is suggested is TOML all the same."""
    name = 'id "x" \\ \x00 \U0001f600'
    document = suggested_map([name, "time", "model", "id"], [])
    read_column_map(document.encode(), "map.toml")


def test_the_map_of_the_documentation_is_one() -> None:
    """The map in docs/importing.md can be used as it stands."""
    page = (Path(__file__).parents[4] / "docs" / "importing.md").read_text("utf-8")
    [document] = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    assert read_column_map(document.encode(), "docs/importing.md").delimiter == ";"


def test_kongs_audit_log_by_the_map_of_the_documentation() -> None:
    """What Kong's reference of its audit log has is a call by the map in docs/connect.md, and its payloads are not."""
    page = (Path(__file__).parents[4] / "docs" / "connect.md").read_text("utf-8")
    [document] = re.findall(r"### Kong AI Gateway\n.*?```toml\n(.*?)```", page, re.DOTALL)
    usage = {"prompt_tokens": 89, "completion_tokens": 56, "total_tokens": 145, "cost": 0.0012, "time_per_token": 87}
    meta = {"request_model": "gpt-4o", "response_model": "gpt-4o-2024-08-06", "provider_name": "azure"}
    meta |= {"plugin_id": "5df193be-47a3-4f1b-8c37-37e31af0568b", "llm_latency": 4927}
    payload = {"request": "kanarie asks", "response": "kanarie answers"}
    row = {
        "request": {"id": "b6d1e1c9", "method": "POST", "uri": "/chat", "headers": {"authorization": "kanarie"}},
        "started_at": 1_795_000_000_123,
        "latencies": {"request": 5031, "kong": 104, "proxy": 4927},
        "response": {"status": 200, "size": 934},
        "consumer": {"username": "shop"},
        "client_ip": "203.0.113.7",
        "ai": {"proxy": {"usage": usage, "meta": meta, "payload": payload}},
    }
    report = call(row, document)
    assert (report.source_id, report.model, report.served_model) == ("b6d1e1c9", "gpt-4o", "gpt-4o-2024-08-06")
    assert (report.provider, report.api_key, report.latency_ms, report.failed) == ("azure", "shop", 5031, False)
    assert (report.input_tokens, report.output_tokens, report.amount) == (89, 56, Decimal("0.0012"))
    assert report.started_at == datetime.fromtimestamp(1_795_000_000.123, UTC)
    assert "kanarie" not in repr((report.attributes, report.tags, report.error, report.user))
    assert call(row | {"response": {"status": 429}}, document).failed
    assert refused({**row, "ai": {}}, document) == "`model` is required"


def test_envoys_access_log_by_the_map_of_the_documentation() -> None:
    """A line as Envoy AI Gateway's guide prints it is a call by the map in docs/connect.md: names with points are the
    names of its columns, and no paths.
    """
    page = (Path(__file__).parents[4] / "docs" / "connect.md").read_text("utf-8")
    [document] = re.findall(r"### Envoy's access log\n.*?```toml\n(.*?)```", page, re.DOTALL)
    row = {
        ":authority": "api.example",
        "duration": 1526,
        "gen_ai.provider.name": "default/openai/route/shop/rule/0/ref/0",
        "gen_ai.request.model": "gpt-4o-mini",
        "gen_ai.request.model_override": None,
        "gen_ai.response.model": "gpt-4o-mini-2024-07-18",
        "gen_ai.usage.input_tokens": 15,
        "gen_ai.usage.output_tokens": 7,
        "gen_ai.usage.total_tokens": 22,
        "response_code": 200,
        "response_code_details": "via_upstream",
        "start_time": "2026-11-20T16:51:37.894Z",
        "upstream_host": "203.0.113.9:443",
        "user-agent": "curl/8.7.1",
        "x-forwarded-for": "203.0.113.7",
        "x-request-id": "83b63da3-45a9-4196-98b8-1a7f697d6d8d",
    }
    report = call(row, document)
    assert (report.source_id, report.latency_ms, report.failed) == (row["x-request-id"], 1526, False)
    assert (report.model, report.served_model) == ("gpt-4o-mini", "gpt-4o-mini-2024-07-18")
    assert (report.input_tokens, report.output_tokens, report.amount) == (15, 7, None)
    failed = call(row | {"response_code": 429}, document)
    assert failed.error is not None and (failed.error.type, failed.error.code) == ("via_upstream", "429")
    assert refused(row | {"gen_ai.request.model": None}, document) == "`model` is required"
