"""The ledger, examined: its leaves, the columns beside them, the keys and the record that they make."""
