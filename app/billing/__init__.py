"""The billing desk: cases, refunds with approval, credit notes, disputes, and the ledger that proves them."""
