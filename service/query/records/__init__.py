"""Pages of single records: order, cursors, projection, look-ups, groups of errors, decryption."""
