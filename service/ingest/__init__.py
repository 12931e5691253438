"""The one way in: bytes of a known format -> reports -> what the policy admits -> stored, then acknowledged."""

from service.ingest.setup import close_writer, setup, writer_of

__all__ = ["close_writer", "setup", "writer_of"]
