"""What `calledger fsck` need not check again: what nothing has changed since it was checked."""
