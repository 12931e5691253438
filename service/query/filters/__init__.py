"""From predicates to SQL."""
