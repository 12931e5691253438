"""The control tables as models, the migrations' runner, and the checks of the schema."""
