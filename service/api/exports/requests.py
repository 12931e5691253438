"""What an export was asked for, as it is kept with it: the form of the file, and the operation that its rows answer."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from service.api.exports.kinds import ExportGrouping, Fields


@dataclass(frozen=True, slots=True)
class ExportRequest:
    """One file. `format`: CSV, NDJSON or PARQUET; `filter`: of GraphQL, as it is written; `grouping`: of COSTS."""

    kind: str
    format: str
    fields: Fields
    filter: Mapping[str, Any] | None = None
    grouping: ExportGrouping | None = None
    gzip: bool = False

    @property
    def stored(self) -> dict[str, Any]:
        """The request as JSON, without the kind."""
        asked: dict[str, Any] = {"format": self.format, "fields": self.fields, "filter": self.filter}
        if self.gzip:
            asked["gzip"] = True
        if self.grouping is not None:
            asked["grouping"] = self.grouping.arguments
        return asked

    @classmethod
    def of(cls, kind: str, stored: Mapping[str, Any]) -> "ExportRequest":
        """What `stored` was made of."""
        grouping = stored.get("grouping")
        return cls(
            kind,
            stored["format"],
            tuple((name, tuple(parts)) for name, parts in stored["fields"]),
            stored["filter"],
            None if grouping is None else ExportGrouping.of(grouping),
            bool(stored.get("gzip")),
        )

    @property
    def variables(self) -> dict[str, Any]:
        """The variables of the kind's operation, but for the page."""
        filter_ = {} if self.filter is None else {"filter": self.filter}
        return filter_ | (self.grouping.arguments if self.grouping is not None else {})

    @property
    def suffix(self) -> str:
        """What the name of the file ends with, such as `csv.gz`."""
        return self.format.lower() + (".gz" if self.gzip else "")
