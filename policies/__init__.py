"""The law: what may be kept, seen, and by whom. Pure: values in, values out."""
