"""What is read and written of the control tables: accounts, API keys, exports, policies, refusals."""
