"""Reconciliation: recorded calls compared with an invoice, a provider's usage export or a gateway's own log."""
