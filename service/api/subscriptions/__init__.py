"""Subscriptions: streams of what is recorded, over graphql-transport-ws and SSE."""
