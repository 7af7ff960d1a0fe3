"""What clients send that is no whole request, by what it is: bytes for a connection of their own."""

import gzip

import orjson

from tests.contract.calls import GOOD

BODY = orjson.dumps(GOOD)
POST = b"POST /v1/ranking HTTP/1.1\r\nHost: here\r\nContent-Type: application/json\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
GET = b"GET /v1/health/live HTTP/1.1\r\nHost: here\r\n"
LIVE = GET + b"\r\n"
# Unpacked, it is larger than a body may be.
_BOMB = gzip.compress(bytes(40 << 20))

NOISE = {
    "another encoding": POST + b"Content-Encoding: gzip\r\nContent-Length: 16\r\n\r\nno such encoding",
    "another encoding, chunked": CHUNKED[:-2] + b"Content-Encoding: gzip\r\n\r\n10\r\nno such encoding\r\n0\r\n\r\n",
    "another encoding, refused before": GET.replace(b"live", b"x") + b"Content-Encoding: gzip\r\nContent-Length: 99\r\n\r\nno gzip",
    "another encoding, never read": GET + b"Content-Encoding: deflate\r\nContent-Length: 99\r\n\r\nno deflate",
    "cut off": POST + b"Content-Encoding: gzip\r\nContent-Length: 20\r\n\r\n" + gzip.compress(BODY)[:20],
    "a bomb": POST + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%s" % (len(_BOMB), _BOMB),
    "brotli": POST + b"Content-Encoding: br\r\nContent-Length: 9\r\n\r\nno brotli",
    "zstandard": POST + b"Content-Encoding: zstd\r\nContent-Length: 9\r\n\r\nno zstd!!",
    "chunks": CHUNKED + b"zz\r\n{}",
    "Latin-1 in a head": GET + b"X-Request-Id: \xff\xfe\r\nAuthorization: Bearer \xe4\r\n\r\n",
    "an expectation": GET + b"Expect: miracles\r\n\r\n",
    "a client that waits": POST + b"Expect: 100-continue\r\nContent-Length: 99\r\n\r\n",
    "a TLS handshake": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 50,
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "an address without an end": b"GET http://[::1 HTTP/1.1\r\nHost: here\r\n\r\n",
    "an upgrade": GET + b"Connection: upgrade\r\nUpgrade: websocket\r\n\r\n\0\0garbage",
    "a tunnel": b"CONNECT here:80 HTTP/1.1\r\nHost: here\r\n\r\ngarbage",
    "garbage behind a request": LIVE + b"\0\0garbage\r\n\r\n",
    "forty requests and garbage": LIVE * 40 + b"garbage\r\n\r\n",
    "a head too large": GET + b"X-A: " + b"a" * 100_000 + b"\r\n\r\n",
    "a path too long": b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: here\r\n\r\n",
    "no end": POST + b"Content-Length: 99\r\n\r\n{",
}
