"""Tables of the conversations room."""
