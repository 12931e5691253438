"""From a report to a row that is ready to be stored: account, admission, pseudonyms, sealing, staging."""
