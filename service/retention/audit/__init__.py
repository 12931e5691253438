"""Checks and reports about retention: fsck, attestation, the retention report, the record of keys and holds."""
