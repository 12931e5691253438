"""What users would otherwise pick: each contender as its users run it, over the same PostgreSQL and the same rows."""
