"""The rag room: documents in, passages found, answers with sources out."""
