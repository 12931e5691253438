"""`calledger serve`: its processes, sockets and HTTP application."""
