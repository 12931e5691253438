"""The objects that a process works with, opened in order and closed in reverse."""
