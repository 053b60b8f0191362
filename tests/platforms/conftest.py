from tests.platforms.conformance import outside, sinkhole

__all__ = ["outside", "sinkhole"]
