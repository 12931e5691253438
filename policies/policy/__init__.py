"""The policy document: its model, its TOML form, what it does to each field, and how two of them differ."""
