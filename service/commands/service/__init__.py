"""Commands that run the service, and show its state."""
