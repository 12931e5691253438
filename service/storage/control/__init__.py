"""Reading and writing the control tables: accounts, API keys, exports, policies, refusals."""
