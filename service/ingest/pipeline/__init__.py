"""The writer: what is queued, in which order it is stored, and what became of each row."""
