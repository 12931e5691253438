"""Erasing a person or an account, and the notes and rows that name them."""
