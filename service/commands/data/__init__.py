"""Commands over stored data: accounts, exports, holds, purge, erasure, sums."""
