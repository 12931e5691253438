"""The control tables as models, the migrations' runner, and what guards the schema."""
