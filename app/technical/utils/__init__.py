"""Pure functions of the technical desk: texts in, texts out."""
