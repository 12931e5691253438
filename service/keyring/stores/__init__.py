"""Where wrapped keys lie: files of one host, or another PostgreSQL."""
