"""Benchmarks of reading: pages, costs, exports, the console, and the delay that one client causes others."""
