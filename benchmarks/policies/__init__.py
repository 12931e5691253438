"""The pure parts: redaction and sealing."""
