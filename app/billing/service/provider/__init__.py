"""What payment providers send us, each message once."""
