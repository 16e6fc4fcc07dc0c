"""Reading other systems' exports: bytes to text, text to records, records to tickets. Pure functions.

``encodings`` makes UTF-8 of what was uploaded, ``records`` finds where each ticket begins and ends, ``names``
knows what others call our fields, ``values`` reads times, states and lists, and ``mapping`` makes of a record
an ``IncomingTicket`` or says what is wrong with it.
"""
