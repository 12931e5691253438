"""What every benchmark uses: the service and the load, processes and their figures, options and places."""
