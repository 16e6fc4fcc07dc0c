"""How much a caller may ask in a while."""
