"""The content type of a file by its extension: audio, and what a station's web site is made of.

`more_types` reads a file like /etc/mime.types, whose types are taken before those that are here, as in Icecast. What
nobody knows is `application/octet-stream`, which a browser saves and does not show.

Pure: names and text in, types out.
"""

from collections.abc import Mapping

UNKNOWN = "application/octet-stream"

TYPES: Mapping[str, str] = {
    # audio and video
    "mp3": "audio/mpeg",
    "mp2": "audio/mpeg",
    "aac": "audio/aac",
    "m4a": "audio/mp4",
    "ogg": "audio/ogg",
    "oga": "audio/ogg",
    "opus": "audio/ogg",
    "spx": "audio/ogg",
    "flac": "audio/flac",
    "wav": "audio/wav",
    "weba": "audio/webm",
    "webm": "video/webm",
    "mka": "audio/x-matroska",
    "ogv": "video/ogg",
    "mp4": "video/mp4",
    "m4v": "video/mp4",
    "ts": "video/mp2t",
    # playlists
    "m3u": "audio/x-mpegurl",
    "m3u8": "application/vnd.apple.mpegurl",
    "pls": "audio/x-scpls",
    "xspf": "application/xspf+xml",
    # pages and what belongs to them
    "html": "text/html",
    "htm": "text/html",
    "xhtml": "application/xhtml+xml",
    "css": "text/css",
    "js": "text/javascript",
    "mjs": "text/javascript",
    "json": "application/json",
    "map": "application/json",
    "webmanifest": "application/manifest+json",
    "txt": "text/plain",
    "vtt": "text/vtt",
    "md": "text/markdown",
    "csv": "text/csv",
    "xml": "application/xml",
    "rss": "application/rss+xml",
    "pdf": "application/pdf",
    "zip": "application/zip",
    "gz": "application/gzip",
    "wasm": "application/wasm",
    # pictures and fonts
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "png": "image/png",
    "gif": "image/gif",
    "webp": "image/webp",
    "avif": "image/avif",
    "svg": "image/svg+xml",
    "ico": "image/x-icon",
    "woff": "font/woff",
    "woff2": "font/woff2",
    "ttf": "font/ttf",
    "otf": "font/otf",
}

_LARGEST_TABLE = 20_000


def media_type(name: str, more: Mapping[str, str] = TYPES) -> str:
    """Returns the value of the Content-Type for a file of this name. Text is UTF-8."""
    extension = name.rpartition("/")[2].rpartition(".")[2].lower() if "." in name else ""
    found = more.get(extension) or TYPES.get(extension) or UNKNOWN
    return f"{found}; charset=utf-8" if found.startswith("text/") else found


def more_types(text: str) -> dict[str, str]:
    """Returns the types in a text of lines such as `audio/mpeg mpga mp2 mp3`, by extension. The first one holds."""
    types: dict[str, str] = {}
    for line in text.splitlines():
        words = line.partition("#")[0].split()
        if len(words) < 2 or "/" not in words[0] or not all(32 < ord(letter) < 127 for letter in words[0]):
            continue
        for extension in words[1:]:
            if len(types) < _LARGEST_TABLE:
                types.setdefault(extension.lower(), words[0])
    return types
