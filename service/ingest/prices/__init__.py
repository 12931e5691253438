"""Price lists: the shipped one, an operator's own, and estimates by them."""
