"""Names, arguments and copies that are allowed where they stand and yet are likely not what was meant.

Nothing here proves anything: places that are worth asking about, what may be meant instead, and what speaks for it.
"""
