"""What is asked: pages, costs, exports, the console, and whether one client keeps others waiting."""
