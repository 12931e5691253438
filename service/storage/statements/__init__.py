"""The statements of the writer: store calls, complete them, correct them."""
