"""What an error text repeats of its own report: content, persons, and the identifiers that may stay."""
