"""Webhooks (Standard Webhooks 1.0): addresses, secrets and signatures. `service.delivery` sends the events."""
