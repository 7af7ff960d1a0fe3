"""What the tests of scripts share."""

from tests.exported import exports

__all__ = ["exports"]
