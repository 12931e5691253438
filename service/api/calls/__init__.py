"""Resolvers of calls and errors, reveals, and the report of refused rows."""
