"""Types and inputs of costs and facets."""
