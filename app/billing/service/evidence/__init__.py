"""Dispute evidence: gathered, assembled, submitted once, handed over surely."""
