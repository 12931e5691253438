"""Where the rows of a file come from: operations of the schema, charges, the ledger, the copies of holds."""
