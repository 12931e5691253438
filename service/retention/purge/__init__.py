"""The purge: its plan, its runs, the guard of the clock, and partitions that are detached."""
