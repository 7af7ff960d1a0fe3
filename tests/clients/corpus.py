"""The queries and passages of all client tests, shared by the tests and the drivers, which run in different environments."""

import base64
import struct
import zlib

QUERY = "How do honey bees find the way back to their hive?"

# Of different lengths, from one word to several sentences, in no order.
PASSAGES = [
    "The bakery on the corner opens at six.",
    "Foraging bees remember landmarks and steer by the sun, whose position they can tell from polarised light even when clouds cover it.",
    "A hive holds between twenty and sixty thousand workers in summer, most of which never leave it during their first three weeks.",
    "A waggle dance tells the other bees in which direction and how far away a field of flowers lies.",
    "Flight.",
    "Homing pigeons are thought to use the earth's magnetic field. Whether honey bees do so, too, is disputed; they were trained to notice "
    "magnetic anomalies, but displaced bees fly home along routes which they have seen before.",
]

# The second has far more than 512 tokens, and its start answers the query.
PASSAGES_WITH_A_LONG_ONE = [PASSAGES[0], PASSAGES[1] + " They fly out and come back, over and over again." * 100, PASSAGES[4]]

# One more than the limit of a request. Short, since every client that batches ranks all of them.
SHORT_QUERY = "bees"
MANY_PASSAGES = [f"bee {number}" for number in range(513)]

UNKNOWN_MODEL = "unknown/model"


def _page(width: int, height: int, shade: int) -> str:
    """A grey page with a frame as a PNG file's data URL, for environments without an image library."""
    inside = bytes([0]) * 8 + bytes([shade]) * (width - 16) + bytes([255]) * 8
    head = struct.pack(">2I5B", width, height, 8, 0, 0, 0, 0)
    chunks = [(b"IHDR", head), (b"IDAT", zlib.compress((b"\0" + inside) * height)), (b"IEND", b"")]
    parts = (struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks)
    return "data:image/png;base64," + base64.b64encode(b"\x89PNG\r\n\x1a\n" + b"".join(parts)).decode()


# Text and image of each passage; "" stands for none, as LangChain sends it.
PAGES = [("bees", ""), ("", _page(210, 297, 60)), ("The text of a page.", _page(297, 210, 120)), ("", _page(64, 64, 180))]
LINK = "https://example.com/page.png"
