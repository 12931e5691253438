"""Retention: compacts usage sums, purges what is due, keeps what a hold names, and proves all of it."""
