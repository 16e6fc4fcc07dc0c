"""Tables of the idempotency room."""
