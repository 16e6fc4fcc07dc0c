"""The features desk: boards, requests, votes, comments, releases, and the demand behind them."""
