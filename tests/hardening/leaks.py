"""What no answer may show: paths, names of classes and libraries, other programs' own texts, addresses inside the machine."""

import re

_INTERNAL = re.compile(
    r"""
    /(?:home|tmp|opt|usr|work|dev|proc|models)/ | \.py\b | \.so\b | \.cc\b | site-packages     # paths
    | Traceback | File\ " | ,\ line\ \d+ | 0x[0-9a-f]{4,}                                                   # stacks
    | \b[A-Z][A-Za-z]+(?:Error|Exception)\b | StatusCode                                       # classes
    | \b(?:UNAVAILABLE|INTERNAL|INVALID_ARGUMENT|DEADLINE_EXCEEDED|UNIMPLEMENTED|NOT_FOUND)\b  # gRPC
    | (?i:grpc|openvino|onnxruntime|aiohttp|numpy|tokenizers)                                  # libraries
    | (?i:stub\ process|model\ instance|request\ id|reranker_0|execute|planted)                # Triton's texts, and the tests'
    | \d+\.\d+\.\d+\.\d+:\d+ | errno                                                           # sockets
    """,
    re.VERBOSE,
)


def internals(message: str, sent: str = "") -> list[str]:
    """What of a message should not be in it; its reader's own words, as names of fields, are known to it."""
    return [found for found in _INTERNAL.findall(message) if found not in sent]
