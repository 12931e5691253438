"""Calls of past partitions as files of Parquet: which there are, what is in them, and how their rows come back."""
