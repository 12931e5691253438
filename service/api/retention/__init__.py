"""Retention, holds, erasures, purges."""
