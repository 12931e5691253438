"""Citus: tables of calls spread over several machines by account, with the same statements."""
