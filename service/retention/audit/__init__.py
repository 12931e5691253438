"""What is looked at and said about retention: fsck, attestation, the report, the record of keys and holds."""
