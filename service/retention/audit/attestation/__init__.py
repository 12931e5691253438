"""The statement of retention: what it says, the proofs that go with it, its page, and who makes it when."""
