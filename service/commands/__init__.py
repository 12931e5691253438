"""The commands, one noun per file. Each works while the service runs and while it doesn't."""
