"""What wraps the keyring's keys: a file, AWS KMS, Google Cloud KMS, Vault."""
