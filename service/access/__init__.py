"""Authentication: API keys, session tokens, and the principal that each stands for."""
