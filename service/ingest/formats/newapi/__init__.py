"""Rows of the table `logs` of new-api and One API, however they were read."""
