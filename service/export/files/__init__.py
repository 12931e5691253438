"""How rows become a file: CSV, NDJSON and Parquet, in parts, with gzip where it was asked for."""
