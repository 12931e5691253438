"""The two encodings of OTLP: where the spans of a body lie, and what one says."""
