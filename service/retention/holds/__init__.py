"""Legal holds: what they keep, and the copies and keys that they keep it with."""
