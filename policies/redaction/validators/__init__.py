"""What confirms a hit: check sums, ranges, randomness, and what is known to be harmless."""
