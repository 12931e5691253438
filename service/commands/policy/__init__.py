"""Commands that try, compare and apply policies."""
