"""Where wrapped keys are stored: in files of one host, or in a PostgreSQL of their own."""
