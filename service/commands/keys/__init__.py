"""Commands over API keys and the keyring."""
