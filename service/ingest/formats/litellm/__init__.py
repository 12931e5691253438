"""LiteLLM's `generic_api` callback."""
