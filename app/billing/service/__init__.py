"""The rules of the billing desk."""
