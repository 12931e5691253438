"""What a request of reports is answered: a verdict for each row, or what its protocol wants."""
