"""Commands for auditors: the ledger, fsck, attestation, verification."""
