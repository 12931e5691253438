"""Tortoise native migrations, numbered and named; run by `calledger migrate` and `calledger serve`."""
