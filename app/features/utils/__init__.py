"""Pure functions of the desk."""
