"""The rules of the rag room, one file a subject. No HTTP here, and nothing commits."""
