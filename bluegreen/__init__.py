"""Blue/green switches behind load balancers: it stops, holds and asks; it never rolls back by itself."""

__version__ = "0.1.0"
