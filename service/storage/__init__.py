"""Where calls lie: PostgreSQL, its roles, partitions and migrations."""
