"""The enforcement point on reads: which role may ask for what."""
