"""Tables about other gateways: which are pulled, how far imports have come, and what comparisons with them found."""
