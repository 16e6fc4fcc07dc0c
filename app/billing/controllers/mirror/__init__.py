"""Routes of the provider's things: lists, single ones, imports, duplicate charges."""
