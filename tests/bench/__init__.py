"""Measurements, each a script with a main()."""
