"""What was there at the instant of a halt, kept outside of every environment before anybody is offered a way on.

Gathers and keeps; decides nothing, moves nothing. A source that fails or hangs is noted, and never holds up the rest.
"""
