"""What the routes of the technical desk take and give, one file a subject."""
