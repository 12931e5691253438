"""Scalars, enums, filters and types of the schema that all roots share."""
