"""GraphQL: the schema, its limits, and its routes in the HTTP application."""

from typing import TYPE_CHECKING, Final

from aiohttp import web

from service.console import explorer
from service.console.documents import console_documents

if TYPE_CHECKING:
    from service.api.http import LedgerView
    from service.runtime.runtime import Runtime

GRAPHQL: Final["web.AppKey[LedgerView]"] = web.AppKey("graphql")
"""The handler of `/graphql`."""


def setup(app: web.Application, runtime: "Runtime") -> None:
    """Mount `/graphql` and `/schema.graphql`.

    Raises SchemaCoverageError when the schema shows what no policy has to name, and OperatorError for a file of
    trusted documents that cannot all be asked.
    """
    # Here, so that `python -m service.api.schema` is the only one to load the schema's module.
    from service.api.execution.limits import Buckets
    from service.api.execution.trusted_documents import read_trusted_documents
    from service.api.http import LedgerView
    from service.api.schema import build_schema
    from service.api.sdl import PATH, document
    from service.query.authorization.enforcement import check_schema

    schema = build_schema()
    check_schema(schema._schema)  # graphql-core's schema has no public name
    settings = runtime.settings
    ours = console_documents() if settings.console and settings.trusted_only else ()
    trusted = read_trusted_documents(settings.trusted_documents, schema._schema, only=settings.trusted_only, ours=ours)
    view = LedgerView(schema, runtime, Buckets(settings.rate_limit_per_minute, runtime.database), trusted)
    app.router.add_route("*", "/graphql", view)
    app.router.add_get(PATH, document)
    if settings.graphiql:
        app.router.add_get(explorer.PATH, explorer.file)
    app[GRAPHQL] = view
