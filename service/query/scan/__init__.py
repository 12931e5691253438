"""Which partitions are read: scan ranges, time windows, user tokens, the database's clock."""
