"""Bodies of REST messages: bytes under a content type, and what a hook sees of them. Headers are the library's."""

import json
import re
from collections.abc import Sequence
from email.message import Message
from typing import Any

from interceptors.connectors.rest.library import Headers

__all__ = ["decoded", "encoded", "frozen"]


def decoded(content: bytes, headers: Headers, source: object) -> Any:
    """What the content type says; JSON that is none is text. `source`: the message that the bytes are of, or None."""
    if not content:
        return None
    media_type = _media_type(headers)
    if _is_json(media_type):
        try:
            return json.loads(content)
        except ValueError:
            pass
    elif not _is_text(media_type):
        return content
    for encoding in (*_encodings(content, headers), getattr(source, "encoding", None)):
        try:
            return content.decode(encoding or "utf-8", "replace")
        except (LookupError, UnicodeError):  # nobody knows it, or it is no encoding of texts
            continue
    return content.decode("utf-8", "replace")


def encoded(body: object, headers: Headers) -> bytes:
    """The body as bytes; its content type becomes JSON where it has none, or one that cannot hold the body.

    Raises TypeError for what JSON cannot hold.
    """
    media_type = _media_type(headers)
    if isinstance(body, bytes | bytearray):
        return bytes(body)
    if isinstance(body, str) and media_type and not _is_json(media_type):
        for encoding in _encodings(body, headers):
            try:
                return body.encode(encoding)
            except (LookupError, UnicodeError):
                headers["content-type"] = f"{media_type}; charset=utf-8"
        return body.encode()
    if not _is_json(media_type):
        headers["content-type"] = "application/json"
    try:
        return json.dumps(body, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise TypeError(f"JSON cannot hold the body {body!r:.200}: {error}") from None


def frozen(body: object) -> object:
    """Something that is equal as long as nobody changes the body."""
    kind = body.__class__
    try:
        return kind, json.dumps(body) if kind in (dict, list) else body
    except (TypeError, ValueError, RecursionError):  # what a hook has put into it; `encoded` tells
        return object()


def _encodings(text: str | bytes, headers: Headers) -> Sequence[str]:
    """Of the content type, else what XML says of itself."""
    content_type = Message()
    content_type["content-type"] = headers.get("content-type", "")
    charset = content_type.get_content_charset()
    if charset is None and _media_type(headers).endswith("xml"):
        start = text[:100] if isinstance(text, str) else text[:100].decode("ascii", "replace")
        declared = re.match(r"""<\?xml[^>]*\sencoding=["']([\w.:-]+)""", start)
        charset = declared and declared[1]
    return [charset] if charset else []


def _media_type(headers: Headers) -> str:
    return str(headers.get("content-type", "")).partition(";")[0].strip().lower()


def _is_json(media_type: str) -> bool:
    return media_type.endswith(("/json", "+json"))


def _is_text(media_type: str) -> bool:
    return media_type.startswith("text/") or media_type.endswith(("/xml", "+xml", "/x-www-form-urlencoded"))
