"""One effect for any number of equal requests."""
