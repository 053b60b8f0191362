from tests.channels.conformance import outside, sinkhole

__all__ = ["outside", "sinkhole"]
