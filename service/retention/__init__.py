"""What must be kept is kept, and what must go goes: folding, purging, proving."""
