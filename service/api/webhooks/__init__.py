"""Webhooks and budgets in the schema."""
