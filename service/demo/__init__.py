"""The demo: thirty days of invented calls, and what a compliance officer did about them."""
