"""The contenders: each alternative as its users run it, over the same PostgreSQL and the same rows."""
