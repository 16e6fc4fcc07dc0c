"""Tables of the webhooks room."""
