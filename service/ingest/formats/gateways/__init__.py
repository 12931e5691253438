"""Rows that other gateways keep of their calls, one gateway per module: its tables, its exports, its API. Pure."""
