"""Tables of the sla room."""
