"""The runtime of a process, its first start, and the replacement of a lost keyring."""
