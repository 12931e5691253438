"""One wire format per module: bytes to reports. Pure."""
