"""The purge: its plan, its steps, exact row counts, and detached partitions."""
