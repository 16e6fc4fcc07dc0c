"""The rules of the technical desk, one file a rule set. No HTTP here, and nothing commits."""
