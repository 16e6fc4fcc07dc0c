"""Credits of accounts: granted within the policy's caps, voided, suggested from similar cases."""
