"""The rules of redaction: their TOML data, what loads them, and the prefilter over all of them."""
