"""Refunds: who may ask, who may approve, how one is made and settled.

The way of one: ``requests.create`` → ``approvals.approve`` → ``execution.execute`` (reserve, call, settle).
``recovery`` goes on with what was cut off; ``state.move`` is the only writer of a refund's status.
"""
