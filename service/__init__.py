"""The service: sockets, SQL, keys and clocks around the pure rules in `policies`."""
