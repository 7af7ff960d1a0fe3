"""What the tests of the engines share."""

from tests.exported import exports

__all__ = ["exports"]
