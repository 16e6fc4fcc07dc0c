"""The technical desk: tickets, known issues, macros, and the rules that hold for them."""
