"""The rules of the matching room: indexing, embedding, comparing."""
