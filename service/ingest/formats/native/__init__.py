"""The native format of `POST /v1/calls`."""
