"""Features of images, kept by the digest of their files; the least recently used go first. Knows no threads."""

from collections import OrderedDict

from reranker.engines.engine import Features


class FeatureCache:
    """Holds at most `limit` bytes. What is larger alone is not kept."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._kept: OrderedDict[bytes, Features] = OrderedDict()
        self.size = 0  # bytes

    def get(self, digest: bytes) -> Features | None:
        """The features of a file, [tokens, hidden], which thereby are the last to go; None where they are not kept."""
        features = self._kept.get(digest)
        if features is not None:
            self._kept.move_to_end(digest)
        return features

    def put(self, digest: bytes, features: Features) -> None:
        """Keep the features of a file, and drop others while there is no room."""
        if digest in self._kept or features.nbytes > self._limit:
            return
        self._kept[digest] = features
        self.size += features.nbytes
        while self.size > self._limit:
            self.size -= self._kept.popitem(last=False)[1].nbytes
