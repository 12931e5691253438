"""Events that happened are found here, and sent to webhooks until they have them."""
