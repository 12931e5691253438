"""Later reports about a stored call: completions, corrections, bills that are polled."""
