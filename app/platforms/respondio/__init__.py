"""People who answer in respond.io, over its custom channel."""
