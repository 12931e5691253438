"""Aggregates of calls: which rollup tables answer, in which buckets, and the figures derived from them."""
