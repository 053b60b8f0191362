"""What both generations of Flex promise, by what is checked; and what only one of them has.

A test that asks for `place` runs once for each generation, one that asks for `each_place` for every way to set it up.
What an adapter did is looked at with Twilio's own SDK and in what the sandbox remembers, not through the adapter.
"""
