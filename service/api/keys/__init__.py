"""API keys and session tokens in the schema."""
