"""The hands: one file a step, `async run(...) -> event`.

A hand does what `core.decide` asked for, once, and returns the event that says what came of it. It decides nothing
about the way of the switch, writes no journal, and raises nothing for an expected failure: that is an event too.
"""
