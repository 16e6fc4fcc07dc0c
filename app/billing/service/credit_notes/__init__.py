"""Credit notes: what they come to, issuing and voiding them.

``issuing.create`` locks the invoice, then its payments; ``planning.plan`` is the computation that the preview
shows, too. A note never changes but for becoming void.
"""
