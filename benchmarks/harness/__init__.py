"""What all benchmarks share: the service, the load generator, figures of processes, options and paths."""
