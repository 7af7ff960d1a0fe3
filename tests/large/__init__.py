"""What takes gigabytes and minutes: not part of `make test`, but of `make test-large`."""
