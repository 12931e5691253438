"""The database in which calls are stored: PostgreSQL, its roles, partitions and migrations."""
