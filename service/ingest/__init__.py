"""The one way in: bytes of a known format -> reports -> what the policy admits -> stored, then acknowledged.

It imports nothing, so that what only reads rows (`pipeline.long_rows`) does not load the service.
"""
