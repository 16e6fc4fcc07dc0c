"""The rules of webhooks: endpoints, what is to be delivered, whose turn it is, how attempts ended.

Rows are locked in the order endpoint, queue, delivery by everybody.
"""
