"""The product: every call recording ends up whole, once, in the customer's own container."""

__version__ = "0.1.0"
