"""What comes in: how fast, from whom, and on how many machines."""
