"""Before and around an operation: bounds, admission, complexity, limits, errors, tracing."""
