"""What the desk takes and gives."""
