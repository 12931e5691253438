"""Proof that the change feed is right, as fsck has it."""
