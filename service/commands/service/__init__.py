"""Commands that run the service, and say how it stands."""
