"""Rows of other gateways, brought in by the same way as reports over HTTP: from files, databases and their APIs."""
