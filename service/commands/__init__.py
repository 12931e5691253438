"""The commands, one noun a file. Each works while the service runs and while it doesn't."""
