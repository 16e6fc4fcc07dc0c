"""The HTTP contract: what the document says, and that the server keeps it."""
