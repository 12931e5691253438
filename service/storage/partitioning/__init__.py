"""What partitions cover, and which stand beside others."""
