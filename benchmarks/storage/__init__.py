"""What lies there: bytes, the purge, the ledger, the start, and how all of it grows."""
