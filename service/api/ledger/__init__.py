"""The ledger and its proofs."""
