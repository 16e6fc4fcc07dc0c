"""The rules of the desk; no HTTP, never commits."""
