"""Tests of answers with sources."""
