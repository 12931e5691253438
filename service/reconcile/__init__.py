"""Comparisons with what others say was used: an invoice, a provider's usage, a gateway's own log."""
