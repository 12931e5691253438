"""The service: sockets, SQL, keys and clocks around the law in `policies`."""
