"""What of a report may be stored: each field by its entry of the policy, error texts by the redaction engine."""
