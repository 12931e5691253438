"""What several services on one database have together: who works, what keys may spend, and a replica to read from."""
