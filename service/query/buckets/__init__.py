"""Time buckets in any time zone: pure."""
