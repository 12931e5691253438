"""The viewer, and the policy in force."""
