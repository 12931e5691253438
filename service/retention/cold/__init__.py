"""The cold tier: calls of past partitions move to files, and back before anything changes them."""
